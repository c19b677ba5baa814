//! «Did you mean»: the known word that a misspelt one is nearest to.

/// The help for an unknown word, when one of the known words is near.
pub fn did_you_mean<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<String> {
    const LONGEST: usize = 100;
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    // One letter in three may be wrong, and at least one.
    let most = (length / 3).max(1);
    let lower = word.to_lowercase();
    known
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= most)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn finds_the_nearest_word() {
        let known = ["script", "stage", "image", "services"];
        let help = |word| did_you_mean(word, known);
        assert_eq!(help("scirpt").as_deref(), Some("did you mean `script`?"));
        assert_eq!(help("Stage").as_deref(), Some("did you mean `stage`?"));
        assert_eq!(help("deploy"), None);
        assert_eq!(help("x"), None);
        assert_eq!(help(""), None);
    }
}
