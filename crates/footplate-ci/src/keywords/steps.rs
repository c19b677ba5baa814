//! `run`: steps (`ci-yaml.md §8.12`).

use serde_json::Value as Json;

use super::schema::{self, Schema, field, required};
use crate::{
    check::{Check, json},
    yaml::Node,
};

const REFERENCE: Schema = Schema::OneOf(&[
    Schema::Text,
    Schema::Fields(&[required(
        "git",
        Schema::Fields(&[
            required("url", Schema::Text),
            field("dir", Schema::Text),
            required("rev", Schema::Text),
            field("file", Schema::Text),
        ]),
    )]),
    Schema::Fields(&[required(
        "oci",
        Schema::Fields(&[
            required("registry", Schema::Text),
            required("repository", Schema::Text),
            required("tag", Schema::Text),
            field("dir", Schema::Text),
            field("file", Schema::Text),
        ]),
    )]),
]);
/// A step refers to a function, or is a script.
const STEP: Schema = Schema::OneOf(&[
    Schema::FieldsWithOneOf(
        &[
            required("name", Schema::Name),
            field("env", Schema::Named(&Schema::Text)),
            field("inputs", Schema::Named(&Schema::Any)),
            field("step", REFERENCE),
            field("func", REFERENCE),
        ],
        &["step", "func"],
    ),
    Schema::Fields(&[
        required("name", Schema::Name),
        field("env", Schema::Named(&Schema::Text)),
        required("script", Schema::Length(1, usize::MAX)),
    ]),
]);

pub fn run(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let job = at.strip_suffix(":run").unwrap_or(at).to_owned();
    schema::check(check, &format!("{job} run"), node, &Schema::List(&STEP));
    Some(json(node))
}
