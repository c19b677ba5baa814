//! Keywords, one by one: what they accept, what they refuse and in which words.

use crate::Case;

#[test]
fn a_misspelt_key_of_a_job_is_named() {
    let case = Case::new("rspec:\n  script: ls\n  bad_tags: [a]\n");
    assert_eq!(
        case.errors(),
        ["jobs:rspec config contains unknown keys: bad_tags"]
    );
}
