//! Models behind an endpoint, measured by what it says of texts.

use adapters::card::Word;
use anyhow::Context as _;
use clap::Args;
use unlearn::evaluation::{
    AppliedAdapter, Comparison, Endpoint, Exam, Questionnaire, Report, Sheet, Source, Test,
};

use super::examiner::keep_domains;
use crate::cli::progress;

/// Flags that mean nothing to an endpoint.
const LOCAL: [&str; 8] =
    ["adapters", "adapters_dir", "against", "device", "peer", "precision", "prompts", "samples"];

/// Where the models are.
#[derive(Debug, Args)]
pub(super) struct RemoteArgs {
    /// Measures models behind an endpoint with OpenAI's completions API that echoes prompts with
    /// log-probabilities, such as <http://127.0.0.1:8080/v1>.
    #[arg(long, value_name = "URL", requires = "served", conflicts_with_all = LOCAL)]
    endpoint: Option<String>,
    /// The models' names there: the first is the base, others are compared with it.
    #[arg(long, value_delimiter = ',', value_name = "NAME", requires = "endpoint")]
    served: Vec<String>,
    /// The endpoint's key.
    #[arg(long, env = "LETHE_ENDPOINT_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
}

impl RemoteArgs {
    /// The endpoint's address and the base's name there, if an endpoint is measured.
    pub(super) fn chosen(&self) -> Option<(&str, &str)> {
        Some((self.endpoint.as_deref()?, self.served.first()?))
    }

    /// The report of every model behind the endpoint.
    pub(super) fn measure(
        &self,
        (endpoint, base_name): (&str, &str),
        tests: &[Test],
        source: &Source<'_>,
        domains: &[Word],
    ) -> anyhow::Result<Report> {
        let mut exams = Vec::new();
        for &test in tests {
            exams.extend(source.exams(test, None)?);
        }
        keep_domains(&mut exams, domains)?;
        let read = |exam| match exam {
            Exam::Reading(read) => Ok(read),
            Exam::Continuing(_) | Exam::Chatting(_) => {
                anyhow::bail!("an endpoint is measured by texts that it reads")
            }
        };
        let exams: Vec<Questionnaire> = exams.into_iter().map(read).collect::<Result<_, _>>()?;
        let sheets = |name: &str| {
            let mut reader = Endpoint::new(endpoint, name, self.key.as_deref());
            exams.iter().map(|exam| ask(exam, &mut reader)).collect::<anyhow::Result<Vec<_>>>()
        };
        let base = sheets(base_name)?;
        let compare = |name: &String| -> anyhow::Result<Comparison> {
            let compared =
                base.iter().zip(sheets(name)?).map(|(base, sheet)| base.compare(&[&sheet]));
            let measurements = compared.collect::<Result<Vec<_>, _>>()?.concat();
            let seeds = vec![vec![AppliedAdapter { name: name.clone(), scale: 1.0 }]];
            Ok(Comparison { set: name.clone(), seeds, measurements })
        };
        Ok(Report {
            model: base_name.to_owned(),
            weights: "unknown".to_owned(),
            precision: "endpoint".to_owned(),
            part: source.part,
            judges: Vec::new(),
            base: base.iter().flat_map(Sheet::measurements).collect(),
            sets: self.served[1..].iter().map(compare).collect::<anyhow::Result<_>>()?,
            tables: Vec::new(),
        })
    }
}

fn ask(exam: &Questionnaire, reader: &mut Endpoint) -> anyhow::Result<Sheet> {
    let bar = progress::bar(exam.test.name(), exam.questions());
    let sheet = exam.ask(reader, &mut |count| bar.inc(count as u64));
    bar.finish_and_clear();
    sheet.with_context(|| format!("{}, {}", exam.test, exam.domain))
}
