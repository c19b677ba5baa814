# Everything that CI runs.
test:
    scripts/test

# The demo.
demo:
    cargo run --release -- serve --demo
