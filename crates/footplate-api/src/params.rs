//! Parameters of a request: path, query and body merged, with Rack's nesting (`rest-api.md §1.3`).

use footplate_app::Error;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value as Json};

/// Nesting that is followed.
const DEPTH: usize = 32;
/// Parameters of one request.
const COUNT: usize = 4096;

/// Named values; the last of a name wins unless the name nests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params(pub Map<String, Json>);

impl Params {
    /// Takes a query string or a form body in.
    ///
    /// # Errors
    /// 400 for text that is not UTF-8 behind its encoding, for NUL and for too many or too deep parameters.
    pub fn add_form(&mut self, text: &str) -> Result<(), Error> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        for (count, pair) in pairs.enumerate() {
            if count >= COUNT {
                return Err(Error::Parameter("too many parameters".to_owned()));
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.add(&decode(key)?, Json::String(decode(value)?))?;
        }
        Ok(())
    }

    /// Takes one pair in, its name with brackets.
    ///
    /// # Errors
    /// 400 for names that nest too deep.
    pub fn add(&mut self, name: &str, value: Json) -> Result<(), Error> {
        let (head, rest) = match name.find('[') {
            Some(at) if at > 0 => name.split_at(at),
            Some(_) | None => (name, ""),
        };
        let mut steps = Vec::new();
        for part in rest.split('[').skip(1) {
            steps.push(part.strip_suffix(']').unwrap_or(part).to_owned());
        }
        if steps.len() > DEPTH {
            return Err(Error::Parameter("parameters nest too deep".to_owned()));
        }
        let slot = self.0.entry(head.to_owned()).or_insert(Json::Null);
        place(slot, &steps, value);
        Ok(())
    }

    /// Takes the members of a JSON object in.
    pub fn add_object(&mut self, object: Map<String, Json>) {
        self.0.extend(object);
    }

    /// The value, unless it is absent or null.
    pub fn value(&self, name: &str) -> Option<&Json> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text; numbers and booleans are taken as such.
    ///
    /// # Errors
    /// 400 for lists and objects.
    pub fn text(&self, name: &str) -> Result<Option<String>, Error> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => scalar(value).map(Some).ok_or_else(|| invalid(name)),
        }
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// 400 when it is missing.
    pub fn required(&self, name: &str) -> Result<String, Error> {
        self.text(name)?
            .ok_or_else(|| Error::Parameter(format!("{name} is missing")))
    }

    /// An integer.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Error> {
        match self.text(name)? {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(None),
            Some(text) => text.trim().parse().map(Some).map_err(|_| invalid(name)),
        }
    }

    /// A boolean in any of its spellings.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Error> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "t" | "yes" | "on" => Ok(Some(true)),
            "false" | "0" | "f" | "no" | "off" => Ok(Some(false)),
            "" => Ok(None),
            _ => Err(invalid(name)),
        }
    }

    /// Texts: a list, one text, or the values of an indexed object.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let all = |items: Vec<&Json>| -> Result<Vec<String>, Error> {
            items
                .into_iter()
                .map(|item| scalar(item).ok_or_else(|| invalid(name)))
                .collect()
        };
        match value {
            Json::Array(items) => all(items.iter().collect()).map(Some),
            Json::Object(map) => all(map.values().collect()).map(Some),
            other => all(vec![other]).map(Some),
        }
    }

    /// As [`Params::texts`], where one text is a list with commas.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn comma_texts(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        Ok(self.texts(name)?.map(|items| {
            items
                .iter()
                .flat_map(|item| item.split(','))
                .map(|item| item.trim().to_owned())
                .filter(|item| !item.is_empty())
                .collect()
        }))
    }

    /// Objects: a list of them, or an object with numbers as keys.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn objects(&self, name: &str) -> Result<Option<Vec<Map<String, Json>>>, Error> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let items: Vec<Json> = match value {
            Json::Array(items) => items.clone(),
            Json::Object(map)
                if map
                    .keys()
                    .all(|key| key.bytes().all(|b| b.is_ascii_digit())) =>
            {
                map.values().cloned().collect()
            }
            _ => return Err(invalid(name)),
        };
        items
            .into_iter()
            .map(|item| match item {
                Json::Object(map) => Ok(map),
                _ => Err(invalid(name)),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

/// `<name> is invalid`.
pub fn invalid(name: &str) -> Error {
    Error::Parameter(format!("{name} is invalid"))
}

/// A scalar as text.
pub fn scalar(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn decode(text: &str) -> Result<String, Error> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text)
        .decode_utf8()
        .map_err(|_| Error::Parameter("a parameter is not valid UTF-8".to_owned()))?;
    if decoded.contains('\0') {
        return Err(Error::Parameter(
            "a parameter contains a null byte".to_owned(),
        ));
    }
    Ok(decoded.into_owned())
}

/// Puts a value where the brackets of its name say.
fn place(slot: &mut Json, steps: &[String], value: Json) {
    let Some((step, rest)) = steps.split_first() else {
        *slot = value;
        return;
    };
    if step.is_empty() {
        if !slot.is_array() {
            *slot = Json::Array(Vec::new());
        }
        let Json::Array(items) = slot else { return };
        // `a[][k]` goes on with the last object until a key repeats.
        if let (Some(Json::Object(last)), Some(key)) = (items.last_mut(), rest.first())
            && !last.contains_key(key)
            && !key.is_empty()
        {
            place(
                last.entry(key.clone()).or_insert(Json::Null),
                &rest[1..],
                value,
            );
            return;
        }
        let mut item = Json::Null;
        place(&mut item, rest, value);
        items.push(item);
        return;
    }
    if !slot.is_object() {
        *slot = Json::Object(Map::new());
    }
    if let Json::Object(map) = slot {
        place(map.entry(step.clone()).or_insert(Json::Null), rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Json {
        let mut params = Params::default();
        params.add_form(text).unwrap();
        Json::Object(params.0)
    }

    #[test]
    fn rack_nesting() {
        assert_eq!(parse("scope[]=a&scope[]=b"), json!({"scope": ["a", "b"]}));
        assert_eq!(parse("scope=a&scope=b"), json!({"scope": "b"}));
        assert_eq!(
            parse("scope%5B0%5D=a&scope[1]=b"),
            json!({"scope": {"0": "a", "1": "b"}})
        );
        assert_eq!(
            parse("filter[environment_scope]=prod"),
            json!({"filter": {"environment_scope": "prod"}})
        );
        assert_eq!(
            parse("v[][key]=A&v[][value]=1&v[][key]=B"),
            json!({"v": [{"key": "A", "value": "1"}, {"key": "B"}]})
        );
        assert_eq!(parse("a=x+y%2Bz&b"), json!({"a": "x y+z", "b": ""}));
    }

    #[test]
    fn bad_text() {
        let mut params = Params::default();
        assert!(params.add_form("a=%00").is_err());
        assert!(params.add_form("a=%ff").is_err());
        assert!(
            params
                .add_form(&format!("a{}=1", "[x]".repeat(40)))
                .is_err()
        );
    }

    #[test]
    fn coercion() {
        let mut params = Params::default();
        params.add_form("n=5&b=Yes&x=zz").unwrap();
        assert_eq!(params.integer("n").unwrap(), Some(5));
        assert_eq!(params.boolean("b").unwrap(), Some(true));
        assert!(params.boolean("x").is_err());
        assert!(params.integer("x").is_err());
    }
}
