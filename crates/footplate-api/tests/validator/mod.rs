//! The part of JSON schema (draft-07) that the schema uses. A keyword that it does not know is a failure, so that nothing
//! in the schema stands there without effect.

use regex::Regex;
use serde_json::{Map, Value as Json};

const KNOWN: [&str; 27] = [
    "$schema",
    "$id",
    "$ref",
    "title",
    "description",
    "definitions",
    "type",
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "dependencies",
    "items",
    "minItems",
    "maxItems",
    "enum",
    "anyOf",
    "allOf",
    "not",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "oneOf",
    "const",
    "default",
];

/// Validates values against one schema.
pub struct Validator<'s> {
    root: &'s Json,
}

impl<'s> Validator<'s> {
    pub fn new(root: &'s Json) -> Self {
        Self { root }
    }

    /// What is wrong with a value, with its place.
    pub fn fault(&self, value: &Json) -> Option<String> {
        self.check(self.root, value, "").err()
    }

    /// Every keyword is known, every reference leads somewhere, every pattern is one.
    pub fn assert_well_formed(&self) {
        self.well_formed(self.root, "#");
    }

    fn well_formed(&self, schema: &Json, at: &str) {
        let Some(map) = schema.as_object() else {
            assert!(schema.is_boolean(), "{at} is no schema: {schema}");
            return;
        };
        for (key, value) in map {
            let at = format!("{at}/{key}");
            assert!(KNOWN.contains(&key.as_str()), "{at} is not known");
            match key.as_str() {
                "$ref" => assert!(
                    self.target(value).is_object(),
                    "{at} leads nowhere: {value}"
                ),
                "pattern" => drop(
                    Regex::new(value.as_str().unwrap())
                        .unwrap_or_else(|error| panic!("{at}: {error}")),
                ),
                "properties" | "patternProperties" | "definitions" => {
                    for (name, inner) in value.as_object().unwrap() {
                        self.well_formed(inner, &format!("{at}/{name}"));
                    }
                }
                "anyOf" | "allOf" | "oneOf" => {
                    value
                        .as_array()
                        .unwrap()
                        .iter()
                        .for_each(|inner| self.well_formed(inner, &at));
                }
                "items" | "not" | "additionalProperties" => self.well_formed(value, &at),
                _ => {}
            }
        }
    }

    fn target(&self, reference: &Json) -> &'s Json {
        let name = reference
            .as_str()
            .and_then(|name| name.strip_prefix("#/definitions/"))
            .unwrap_or_default();
        &self.root["definitions"][name]
    }

    fn check(&self, schema: &Json, value: &Json, at: &str) -> Result<(), String> {
        let Some(map) = schema.as_object() else {
            return if schema == &Json::Bool(false) {
                Err(format!("{at} is not allowed"))
            } else {
                Ok(())
            };
        };
        if let Some(reference) = map.get("$ref") {
            return self.check(self.target(reference), value, at);
        }
        self.kind(map, value, at)?;
        self.combined(map, value, at)?;
        match value {
            Json::Object(object) => self.object(map, object, at),
            Json::Array(items) => self.array(map, items, at),
            Json::String(text) => text_fits(map, text, at),
            Json::Number(number) => number_fits(map, number.as_f64().unwrap(), at),
            Json::Null | Json::Bool(_) => Ok(()),
        }
    }

    fn kind(&self, map: &Map<String, Json>, value: &Json, at: &str) -> Result<(), String> {
        let is = |name: &Json| match name.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("{other} is no type"),
        };
        let fits = match map.get("type") {
            None => true,
            Some(Json::Array(names)) => names.iter().any(is),
            Some(name) => is(name),
        };
        let listed = map
            .get("enum")
            .and_then(Json::as_array)
            .is_none_or(|list| list.contains(value));
        if fits && listed {
            Ok(())
        } else {
            Err(format!("{at} is of a wrong kind"))
        }
    }

    fn combined(&self, map: &Map<String, Json>, value: &Json, at: &str) -> Result<(), String> {
        let list = |key: &str| map.get(key).and_then(Json::as_array);
        if let Some(alternatives) = list("anyOf") {
            let faults: Vec<String> = alternatives
                .iter()
                .filter_map(|inner| self.check(inner, value, at).err())
                .collect();
            if faults.len() == alternatives.len() {
                return Err(format!("{at} fits none: {}", faults.join("; ")));
            }
        }
        for inner in list("allOf").into_iter().flatten() {
            self.check(inner, value, at)?;
        }
        match map.get("not") {
            Some(inner) if self.check(inner, value, at).is_ok() => {
                Err(format!("{at} is what it must not be"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn object(
        &self,
        map: &Map<String, Json>,
        object: &Map<String, Json>,
        at: &str,
    ) -> Result<(), String> {
        let names = |list: &Json| -> Vec<String> {
            list.as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap().to_owned())
                .collect()
        };
        let mut needed = map.get("required").map(names).unwrap_or_default();
        for (key, others) in map
            .get("dependencies")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            if object.contains_key(key) {
                needed.extend(names(others));
            }
        }
        if let Some(missing) = needed.iter().find(|name| !object.contains_key(*name)) {
            return Err(format!("{at}/{missing} is missing"));
        }
        for (key, value) in object {
            let at = format!("{at}/{key}");
            let own = map
                .get("properties")
                .and_then(|properties| properties.get(key));
            let patterns = map
                .get("patternProperties")
                .and_then(Json::as_object)
                .into_iter()
                .flatten();
            let matching: Vec<&Json> = patterns
                .filter(|(pattern, _)| Regex::new(pattern).unwrap().is_match(key))
                .map(|(_, inner)| inner)
                .collect();
            for inner in own.iter().copied().chain(matching.iter().copied()) {
                self.check(inner, value, &at)?;
            }
            if own.is_none()
                && matching.is_empty()
                && let Some(others) = map.get("additionalProperties")
            {
                self.check(others, value, &at)?;
            }
        }
        Ok(())
    }

    fn array(&self, map: &Map<String, Json>, items: &[Json], at: &str) -> Result<(), String> {
        let bound = |key: &str| {
            map.get(key)
                .and_then(Json::as_u64)
                .map(|bound| usize::try_from(bound).unwrap())
        };
        if bound("minItems").is_some_and(|least| items.len() < least)
            || bound("maxItems").is_some_and(|most| items.len() > most)
        {
            return Err(format!("{at} has a wrong number of items"));
        }
        if let Some(inner) = map.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.check(inner, item, &format!("{at}/{index}"))?;
            }
        }
        Ok(())
    }
}

fn text_fits(map: &Map<String, Json>, text: &str, at: &str) -> Result<(), String> {
    let length = u64::try_from(text.chars().count()).unwrap();
    let bound = |key: &str| map.get(key).and_then(Json::as_u64);
    if bound("minLength").is_some_and(|least| length < least)
        || bound("maxLength").is_some_and(|most| length > most)
    {
        return Err(format!("{at} has a wrong length"));
    }
    match map.get("pattern").and_then(Json::as_str) {
        Some(pattern) if !Regex::new(pattern).unwrap().is_match(text) => {
            Err(format!("{at} does not match {pattern}"))
        }
        Some(_) | None => Ok(()),
    }
}

fn number_fits(map: &Map<String, Json>, number: f64, at: &str) -> Result<(), String> {
    let bound = |key: &str| map.get(key).and_then(Json::as_f64);
    if bound("minimum").is_some_and(|least| number < least)
        || bound("maximum").is_some_and(|most| number > most)
    {
        return Err(format!("{at} is out of bounds"));
    }
    Ok(())
}
