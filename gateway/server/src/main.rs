//! The `lethe-gateway` program.

use std::process::ExitCode;

use anyhow::Context as _;
use gateway_server::keys::Guard;
use gateway_server::settings::{self, Action, Settings};
use gateway_server::shutdown::Ending;
use gateway_server::startup::Bound;
use gateway_server::telemetry;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn start() -> anyhow::Result<()> {
    let (action, layers) = settings::parse_flags(std::env::args_os())?;
    let settings = Settings::build(layers)?;
    if action == Action::CheckConfig {
        Guard::load(&settings.keys, settings.policy.bounds)?;
        return Ok(());
    }
    telemetry::start(&settings.log)?;
    telemetry::log_settings(&settings);
    actix_web::rt::System::new().block_on(serve(settings))
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let ending = Ending::on_signals(settings.shutdown).context("signals cannot be heard")?;
    let bound = Bound::new(&settings)?;
    bound.run(move || gateway_server::local::load(&settings), ending).await
}

/// Help and version are asked for and go to standard output; errors go to standard error.
#[expect(clippy::print_stderr, reason = "the log may not have been started yet")]
fn fail(error: &anyhow::Error) -> ExitCode {
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        // Nothing is left to do if the terminal is gone.
        let _ = usage.print();
        return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
    }
    eprintln!("lethe-gateway: {error:#}");
    ExitCode::FAILURE
}
