//! YAML as the values of JSON, which the keys are read from.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Number, Value as Json};

use super::super::ConfigError;

/// Groups within groups: the configuration has one level, tags are texts.
const DEPTH_MAX: usize = 16;

pub(super) fn read(text: &str) -> Result<Json, ConfigError> {
    let documents = Yaml::load_from_str(text).map_err(|error| wrong(&error.to_string()))?;
    match documents.as_slice() {
        [] => Ok(Json::Null),
        [document] => json(document, 0),
        _ => Err(wrong("it holds more than one document")),
    }
}

fn json(yaml: &Yaml<'_>, depth: usize) -> Result<Json, ConfigError> {
    if depth > DEPTH_MAX {
        return Err(wrong("it is nested too deeply"));
    }
    Ok(match yaml {
        Yaml::Value(Scalar::Null) => Json::Null,
        Yaml::Value(Scalar::Boolean(value)) => Json::Bool(*value),
        Yaml::Value(Scalar::Integer(value)) => Json::Number(Number::from(*value)),
        Yaml::Value(Scalar::FloatingPoint(value)) => {
            Number::from_f64(value.into_inner()).map_or_else(|| Json::String(value.to_string()), Json::Number)
        }
        Yaml::Value(Scalar::String(text)) => Json::String(text.to_string()),
        Yaml::Representation(text, ..) => Json::String(text.to_string()),
        Yaml::Sequence(items) => Json::Array(items.iter().map(|item| json(item, depth + 1)).collect::<Result<_, _>>()?),
        Yaml::Mapping(pairs) => {
            let mut object = Map::new();
            for (key, value) in pairs {
                let key = key.as_str().ok_or_else(|| wrong("a key is no text"))?;
                object.insert(key.to_owned(), json(value, depth + 1)?);
            }
            Json::Object(object)
        }
        Yaml::Tagged(_, inner) => json(inner, depth + 1)?,
        Yaml::Alias(_) | Yaml::BadValue => return Err(wrong("a value cannot be read")),
    })
}

fn wrong(why: &str) -> ConfigError {
    ConfigError::Syntax { format: "YAML", why: why.to_owned() }
}
