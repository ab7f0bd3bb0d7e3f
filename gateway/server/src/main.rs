//! The `lethe-gateway` program.

use std::process::ExitCode;

use anyhow::Context as _;
use gateway_server::audit::{self, AuditCommandError};
use gateway_server::descriptors;
use gateway_server::keys::{Guard, KeyCommand};
use gateway_server::settings::{self, Action, Layers, Settings};
use gateway_server::shutdown::Ending;
use gateway_server::startup::Bound;
use gateway_server::telemetry;
use gateway_server::tls::Certificates;
use gateway_server::upstream;

/// What `audit verify` ends with if nothing is wrong but an unfinished last line.
const TORN: u8 = 3;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn start() -> anyhow::Result<()> {
    let (action, layers) = settings::parse_flags(std::env::args_os())?;
    let settings = match action {
        Action::Key(command) => return run_key(command, layers),
        Action::Audit(command) => return Ok(command.run(&mut std::io::stdout())?),
        Action::CheckConfig => {
            let settings = Settings::build(layers)?;
            Guard::load(&settings.keys, settings.policy.bounds)?;
            Certificates::load(&settings.tls)?;
            Certificates::load(&settings.ops_tls)?;
            upstream::check(&settings)?;
            audit::check(&settings.audit).context("the audit log")?;
            return Ok(());
        }
        Action::Serve => Settings::build(layers)?,
    };
    telemetry::start(&settings.log)?;
    telemetry::log_settings(&settings);
    descriptors::raise();
    actix_web::rt::System::new().block_on(serve(settings))
}

/// Settings are looked at only if they have to say which file it is.
fn run_key(command: KeyCommand, layers: Layers) -> anyhow::Result<()> {
    let file = match command.file {
        Some(file) => file,
        None => Settings::build(layers)?.keys.file.context("name the key file, with --file")?,
    };
    Ok(command.action.run(&file, &mut std::io::stdout())?)
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
    match error.downcast_ref() {
        Some(AuditCommandError::Torn { .. }) => ExitCode::from(TORN),
        Some(_) | None => ExitCode::FAILURE,
    }
}
