//! lessor-postgres
