//! The JSON Schema of the configuration file, for editors: derived from the table of options.

use serde_json::{Map, Value, json};

use crate::config::options::{Field, Holds, KEY_FIELDS, Kind, PRICE_FIELDS, SETTINGS, Setting};

/// The schema of `config.yaml` (JSON Schema, draft 2020-12).
pub fn schema() -> Value {
    let properties: Map<String, Value> =
        SETTINGS.iter().map(|setting| (setting.name.to_owned(), of_setting(setting))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Saros configuration",
        "description": "config.yaml of saros-proxy. Names that are not listed are ignored with a warning.",
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": false,
    })
}

fn of_setting(setting: &Setting) -> Value {
    let mut schema = match &setting.kind {
        Kind::Number { from, to, .. } => {
            json!({ "type": "integer", "minimum": from, "maximum": to })
        }
        Kind::Word { words, .. } => of_words(words),
        Kind::Base(_) => uri(),
        Kind::Host(_) => json!({ "type": "string", "minLength": 1 }),
        Kind::List { .. } => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Balance(_) => balance(),
        Kind::Prices(_) => {
            json!({ "type": "object", "additionalProperties": of_fields(PRICE_FIELDS) })
        }
        Kind::Keys => json!({ "type": "array", "items": of_fields(KEY_FIELDS) }),
        Kind::Block(fields) => of_fields(fields),
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), json!(setting.help));
        if !setting.default.is_empty() {
            let default = serde_json::from_str(setting.default);
            schema.insert("default".to_owned(), default.unwrap_or_else(|_| json!(setting.default)));
        }
    }
    schema
}

fn of_fields(fields: &[Field]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), of_field(field))).collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn of_field(field: &Field) -> Value {
    let mut schema = match &field.holds {
        Holds::Text | Holds::Secret => json!({ "type": "string", "minLength": 1 }),
        Holds::Base => uri(),
        Holds::Word(words) => of_words(words),
        Holds::Switch => json!({ "type": "boolean" }),
        Holds::Number(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
        Holds::Dollars => json!({ "type": "number", "minimum": 0 }),
        Holds::Balance => balance(),
        Holds::List(fields) => json!({ "type": "array", "items": of_fields(fields) }),
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), json!(field.help));
    }
    schema
}

/// `true` and `false` are no texts in YAML.
fn of_words(words: &[&str]) -> Value {
    let word = |word: &&str| match *word {
        "true" => json!(true),
        "false" => json!(false),
        word => json!(word),
    };
    json!({ "enum": words.iter().map(word).collect::<Vec<_>>() })
}

fn uri() -> Value {
    json!({ "type": "string", "format": "uri" })
}

fn balance() -> Value {
    json!({ "type": ["boolean", "number"], "minimum": 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_it_with_its_default() {
        let schema = schema();
        for setting in SETTINGS {
            let option = &schema["properties"][setting.name];
            assert!(option["description"].is_string(), "{}", setting.name);
            let default = (setting.get)(&crate::config::Config::default());
            let default = Some(default).filter(|value| !value.is_null());
            assert_eq!(option.get("default"), default.as_ref(), "{}", setting.name);
        }
        assert_eq!(schema["properties"]["port"]["maximum"], 65_535);
        let key = &schema["properties"]["keys"]["items"];
        assert_eq!(key["required"], json!(["label", "key"]));
        assert_eq!(key["properties"]["plan"]["enum"], json!(["go", "go-plus"]));
        let words = &schema["properties"]["requireClientToken"]["enum"];
        assert_eq!(words, &json!(["auto", true, false]));
    }
}
