//! The page that describes the JSON log, and lines held against it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const PAGE: &str = include_str!("../../host/src/log/schema.md");

/// What the page shows of an event.
#[derive(Default)]
struct Shown {
    /// The fields of each example, in order.
    examples: Vec<Vec<String>>,
    /// The forms of each field.
    forms: BTreeMap<String, BTreeSet<String>>,
}

/// The events of the page, by name.
pub(crate) struct Schema(BTreeMap<String, Shown>);

impl Schema {
    pub(crate) fn new() -> Self {
        let mut events: BTreeMap<String, Shown> = BTreeMap::new();
        for example in PAGE.lines().filter(|line| line.starts_with('{')) {
            let value: Value = serde_json::from_str(example).expect("an example is JSON");
            let shown = events.entry(text(&value["event"])).or_default();
            shown.examples.push(fields(example, &value));
            for (field, value) in value.as_object().expect("an object") {
                let forms = shown.forms.entry(field.clone()).or_default();
                forms.insert(form(value));
            }
        }
        assert!(events.len() > 20, "the page has examples");
        Self(events)
    }

    /// Holds a line against the page, and returns it.
    pub(crate) fn check(&self, line: &str) -> Value {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("JSON: {line}"));
        let event = text(&value["event"]);
        let shown = self.0.get(&event);
        let shown = shown.unwrap_or_else(|| panic!("the page has no event {event:?}: {line}"));
        let fields = fields(line, &value);
        let in_order = |of: &Vec<String>| {
            let mut known = of.iter().filter(|field| fields.contains(field));
            let mut mine = fields.iter().filter(|field| of.contains(field));
            core::iter::from_fn(|| match (known.next(), mine.next()) {
                (None, None) => None,
                pair => Some(pair),
            })
            .all(|(known, mine)| known == mine)
        };
        assert!(shown.examples.iter().all(in_order), "order: {line}");
        for field in &fields {
            let forms = shown.forms.get(field);
            let forms = forms.unwrap_or_else(|| panic!("the page has no field {field:?}: {line}"));
            let form = form(&value[field]);
            assert!(forms.contains(&form), "{field} is {form}: {line}");
        }
        let always = |field: &&String| shown.examples.iter().all(|of| of.contains(field));
        for field in shown.forms.keys().filter(always) {
            assert!(fields.contains(field), "lacks {field:?}: {line}");
        }
        for field in ["dir", "error", "how", "cause"] {
            if let Some(word) = value[field].as_str() {
                assert!(PAGE.contains(&format!("`{word}`")), "{field}: {line}");
            }
        }
        value
    }
}

/// The names of the fields as they stand in the line.
fn fields(line: &str, value: &Value) -> Vec<String> {
    let mut fields: Vec<_> = value.as_object().expect("an object").keys().collect();
    fields.sort_by_key(|field| line.find(&format!("\"{field}\":")).expect("it is there"));
    fields.into_iter().cloned().collect()
}

/// A value without what differs from line to line.
fn form(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a truth value".to_owned(),
        Value::Number(number) if number.is_f64() => "a fraction".to_owned(),
        Value::Number(_) => "a whole number".to_owned(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(form).collect::<Vec<_>>().join(", ")
        ),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name}: {}", form(value)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
