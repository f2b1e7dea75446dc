//! lessor
