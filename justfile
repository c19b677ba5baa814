# Everything that CI runs.
test:
    scripts/test

# The demo.
demo:
    cargo run --release -- serve --demo

# Ratios to yardsticks, release build, a million jobs.
bench:
    scripts/postgres cargo xtask bench
