//! The grammar's file.

use std::collections::BTreeMap;

use gateway_toxicity::{Category, Scores};
use serde::Deserialize;

use super::template::Template;
use super::{Frame, Grammar, GrammarError, Group, SLURS};
use crate::corpus::Part;

/// A frame that is drawn more often would drown the others.
const MOST_WEIGHT: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    group: Vec<GroupEntry>,
    words: BTreeMap<String, Vec<String>>,
    frame: Vec<FrameEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupEntry {
    name: String,
    #[serde(default)]
    bias: Option<String>,
    plural: Vec<String>,
    singular: Vec<String>,
    adjective: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameEntry {
    name: String,
    label: BTreeMap<String, u8>,
    /// How often it is drawn, against the others' 1.
    #[serde(default = "once")]
    weight: usize,
    texts: Vec<String>,
}

const fn once() -> usize {
    1
}

/// Reads a whole grammar.
pub(super) fn parse(text: &str, slurs: &[String]) -> Result<Grammar, GrammarError> {
    let mut file: File = toml::from_str(text)?;
    file.words.insert(SLURS.to_owned(), slurs.to_vec());
    if let Some((name, _)) = file.words.iter().find(|(_, words)| words.is_empty()) {
        return Err(GrammarError::Empty(format!("word list {name}")));
    }
    let groups = file.group.into_iter().map(group).collect::<Result<_, _>>()?;
    let frames = file.frame.into_iter().map(|entry| frame(entry, &file.words));
    let frames: Vec<Frame> = frames.collect::<Result<_, _>>()?;
    let draws = frames.iter().enumerate();
    let draws: Vec<usize> =
        draws.flat_map(|(index, frame)| std::iter::repeat_n(index, frame.weight)).collect();
    if draws.is_empty() {
        return Err(GrammarError::Empty("the list of frames".to_owned()));
    }
    Ok(Grammar { groups, frames, draws, words: file.words, part: Part::Train })
}

fn group(entry: GroupEntry) -> Result<Group, GrammarError> {
    let GroupEntry { name, bias, plural, singular, adjective } = entry;
    if [&plural, &singular, &adjective].iter().any(|words| words.is_empty()) {
        return Err(GrammarError::Empty(format!("a word list of group {name}")));
    }
    let parse = |bias: String| {
        let category = Category::parse(&format!("bias/{bias}"));
        category.ok_or_else(|| GrammarError::Label(name.clone()))
    };
    let bias = bias.map(parse).transpose()?;
    Ok(Group { name, bias, plural, singular, adjective })
}

fn frame(entry: FrameEntry, words: &BTreeMap<String, Vec<String>>) -> Result<Frame, GrammarError> {
    let FrameEntry { name, label, weight, texts } = entry;
    if texts.is_empty() {
        return Err(GrammarError::Empty(format!("frame {name}")));
    }
    let (mut labels, mut bias) = (Scores::default(), None);
    for (key, value) in label {
        let value = match value {
            0 | 1 => f32::from(value),
            _ => return Err(GrammarError::Label(name)),
        };
        match Category::parse(&key) {
            Some(category) => labels.set(category, value),
            None if key == "bias" => bias = Some(value),
            None => return Err(GrammarError::Label(name)),
        }
    }
    let fault = |fault| GrammarError::Text { frame: name.clone(), fault };
    let parse = |text: &String| {
        let template = Template::parse(text).map_err(fault)?;
        let missing = template.lists().find(|list| !words.contains_key(*list)).map(str::to_owned);
        missing.map_or(Ok(template), |list| Err(fault(format!("there is no list {list}"))))
    };
    let texts = texts.iter().map(parse).collect::<Result<_, _>>()?;
    Ok(Frame { name, labels, bias, weight: weight.min(MOST_WEIGHT), texts })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "[[group]]\nname='g'\nplural=['p']\nsingular=['s']\nadjective=['a']\n";

    fn with_frame(frame: &str) -> Result<Grammar, GrammarError> {
        parse(
            &format!("{GROUP}[words]\nlike=['like']\n[[frame]]\nname='f'\n{frame}"),
            &["x".to_owned()],
        )
    }

    #[test]
    fn each_fault_is_named() {
        assert!(with_frame("label={hate=0}\ntexts=['I {like} {plural}']").is_ok());
        let fault = |frame| with_frame(frame).unwrap_err();
        assert!(matches!(fault("label={hate=2}\ntexts=['x']"), GrammarError::Label(_)));
        assert!(matches!(fault("label={love=1}\ntexts=['x']"), GrammarError::Label(_)));
        assert!(matches!(fault("label={}\ntexts=[]"), GrammarError::Empty(_)));
        assert!(matches!(fault("label={}\ntexts=['{love}']"), GrammarError::Text { .. }));
        assert!(matches!(fault("label={}\ntexts=['{love']"), GrammarError::Text { .. }));
        assert!(matches!(fault("labels={}\ntexts=['x']"), GrammarError::Toml(_)));
        assert!(matches!(parse(GROUP, &[]), Err(GrammarError::Toml(_))));
    }
}
