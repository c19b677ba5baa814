//! Where rows are kept: the only crate that knows SQL.
