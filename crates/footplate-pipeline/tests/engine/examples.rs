//! `worked_examples.txt`, every line.

use crate::harness::Play;

#[test]
fn worked_examples() {
    let mut faults = Vec::new();
    let (mut case, mut play) = ("", None);
    let mut lines = 0;
    for line in include_str!("worked_examples.txt").lines() {
        if let Some(name) = line.strip_prefix("## ") {
            case = name;
        } else if line.starts_with('#') {
            // A comment.
        } else if let Some(jobs) = line.strip_prefix("jobs: ") {
            play = Some(Play::new(jobs));
        } else if let Some((event, expected)) = line.split_once(" => ") {
            lines += 1;
            let play = play.as_mut().expect("jobs come first");
            let mut words = event.split_whitespace();
            let verb = words.next().expect("an event");
            play.event(verb, &words.collect::<Vec<_>>());
            if play.state() != expected {
                faults.push(format!(
                    "{case}: {event}\n  expected {expected}\n  got      {}",
                    play.state()
                ));
            }
        }
    }
    assert!(lines > 70, "only {lines} lines read");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
