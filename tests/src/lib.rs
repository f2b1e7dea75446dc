//! lessor-tests
