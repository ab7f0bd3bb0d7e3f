//! Who judges what a model says.

use std::cell::RefCell;

use adapters::Digest;
use adapters::card::Word;
use gateway_toxicity::{FastScorer, Scorer};
use unlearn::evaluation::{Prompts, Sheet, Test};
use unlearn::scorer::evaluation::{Judge, Program};

use crate::cli::peer::Peer;

/// The scorer of the gateway, and a program where one was named.
pub(crate) struct Judges {
    ours: RefCell<Box<dyn Scorer>>,
    program: Option<RefCell<Program>>,
}

impl Judges {
    pub(crate) fn start(peer: Option<&Peer>) -> anyhow::Result<Self> {
        let program = peer.map(|peer| Program::start(&peer.name, &peer.command)).transpose()?;
        let ours: Box<dyn Scorer> = Box::new(FastScorer::embedded()?);
        Ok(Self { ours: RefCell::new(ours), program: program.map(RefCell::new) })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let program = self.program.iter().map(|program| program.borrow().name().to_owned());
        std::iter::once(self.ours.borrow().name().to_owned()).chain(program).collect()
    }

    /// What sheets the continuations of `prompts` give.
    pub(crate) fn identities(&self, prompts: &Prompts) -> Vec<(Test, Word, Digest)> {
        let key = prompts.key(&*self.ours.borrow());
        let mut all = vec![(prompts.test, prompts.domain.clone(), key)];
        if let Some(program) = &self.program {
            let key = prompts.key(&*program.borrow());
            all.push((prompts.test.by_program(), prompts.domain.clone(), key));
        }
        all
    }

    /// What each judge makes of what was said.
    pub(crate) fn sheets(
        &self,
        prompts: &Prompts,
        said: &[Vec<String>],
    ) -> anyhow::Result<Vec<Sheet>> {
        let mut ours = self.ours.borrow_mut();
        let mut sheets = vec![prompts.judge(said, &mut *ours, prompts.test)?];
        if let Some(program) = &self.program {
            let mut program = program.borrow_mut();
            sheets.push(prompts.judge(said, &mut *program, prompts.test.by_program())?);
        }
        Ok(sheets)
    }
}
