//! lessor-sdk
