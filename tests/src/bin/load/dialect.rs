//! How each server is asked for adapters.

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::{Value, json};

/// An adapter's place in its server's list, and its scale.
pub(crate) type Applied = (usize, f32);

/// Looks at a path of a server; nothing, if nothing is there.
type Get<'a> = &'a dyn Fn(&str) -> anyhow::Result<Option<Value>>;

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dialect {
    Lethe,
    /// `llama-server` of llama.cpp.
    Llama,
    Vllm,
}

impl Dialect {
    /// Tells servers apart by the routes that only one has.
    pub(crate) fn of(get: Get<'_>) -> anyhow::Result<Self> {
        for (path, dialect) in [
            ("/v1/adapters", Self::Lethe),
            ("/lora-adapters", Self::Llama),
            ("/version", Self::Vllm),
        ] {
            if get(path)?.is_some() {
                return Ok(dialect);
            }
        }
        bail!("it is neither Lethe nor llama.cpp's server nor vLLM")
    }

    /// The model's name, and those of its adapters.
    pub(crate) fn names(
        self,
        models: &Value,
        get: Get<'_>,
    ) -> anyhow::Result<(String, Vec<String>)> {
        let models = models["data"].as_array().context("the list of models has no data")?;
        let id = |model: &Value| model["id"].as_str().map(str::to_owned);
        let first = models.iter().find_map(id).context("it serves no model")?;
        let strings = |list: &Value, field: &str| -> Vec<String> {
            let items = list.as_array().into_iter().flatten();
            items.filter_map(|item| Some(item[field].as_str()?.to_owned())).collect()
        };
        Ok(match self {
            Self::Lethe => {
                let listed = get("/v1/adapters")?.unwrap_or_default();
                (first, strings(&listed["data"], "name"))
            }
            Self::Llama => (first, strings(&get("/lora-adapters")?.unwrap_or_default(), "path")),
            Self::Vllm => {
                let base = models.iter().find(|model| model["parent"].is_null()).and_then(id);
                let adapters = models.iter().filter(|model| !model["parent"].is_null());
                (base.context("it serves no base model")?, adapters.filter_map(id).collect())
            }
        })
    }

    /// Adds the choice of adapters to a request; says whether the server can do it.
    pub(crate) fn choose(self, body: &mut Value, names: &[String], chosen: &[Applied]) -> bool {
        match self {
            Self::Lethe => {
                let named =
                    |&(index, scale): &Applied| json!({"name": names[index], "scale": scale});
                body["adapters"] = chosen.iter().map(named).collect();
            }
            Self::Llama => {
                let numbered = |&(id, scale): &Applied| json!({"id": id, "scale": scale});
                body["lora"] = chosen.iter().map(numbered).collect();
            }
            Self::Vllm => match chosen {
                [] => {}
                #[expect(clippy::float_cmp, reason = "a scale as it was written")]
                [(index, scale)] if *scale == 1.0 => body["model"] = names[*index].clone().into(),
                _ => return false,
            },
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(dialect: Dialect, chosen: &[Applied]) -> Option<Value> {
        let names = ["a".to_owned(), "b".to_owned()];
        let mut body = json!({"model": "base"});
        dialect.choose(&mut body, &names, chosen).then_some(body)
    }

    #[test]
    fn each_server_is_asked_in_its_own_words() {
        let pair = [(1, 0.5), (0, 1.0)];
        let lethe = body(Dialect::Lethe, &pair).unwrap();
        let named = json!([{"name": "b", "scale": 0.5}, {"name": "a", "scale": 1.0}]);
        assert_eq!(lethe, json!({"model": "base", "adapters": named}));
        let llama = body(Dialect::Llama, &pair).unwrap();
        let numbered = json!([{"id": 1, "scale": 0.5}, {"id": 0, "scale": 1.0}]);
        assert_eq!(llama, json!({"model": "base", "lora": numbered}));
        assert_eq!(body(Dialect::Vllm, &[(1, 1.0)]), Some(json!({"model": "b"})));
        assert_eq!(body(Dialect::Vllm, &[]), Some(json!({"model": "base"})));
        assert_eq!(body(Dialect::Vllm, &pair), None, "it has one adapter a request");
        assert_eq!(body(Dialect::Vllm, &[(1, 0.5)]), None, "it has no scales");
    }

    #[test]
    fn models_and_adapters_are_found_by_what_each_server_lists() {
        let models = json!({"data": [{"id": "m", "parent": null}, {"id": "x", "parent": "m"}]});
        let names = |dialect: Dialect, path: &str, answer: Value| {
            let get = |asked: &str| Ok((asked == path).then(|| answer.clone()));
            assert_eq!(Dialect::of(&get).unwrap(), dialect);
            dialect.names(&models, &get).unwrap()
        };
        let found = |name: &str| ("m".to_owned(), vec![name.to_owned()]);
        let listed = json!({"data": [{"name": "gender"}]});
        assert_eq!(names(Dialect::Lethe, "/v1/adapters", listed), found("gender"));
        let listed = json!([{"id": 0, "path": "a.gguf"}]);
        assert_eq!(names(Dialect::Llama, "/lora-adapters", listed), found("a.gguf"));
        assert_eq!(names(Dialect::Vllm, "/version", json!({"version": "0"})), found("x"));
        assert!(Dialect::of(&|_| Ok(None)).is_err());
    }
}
