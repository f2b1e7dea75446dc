//! lessor-certificate
