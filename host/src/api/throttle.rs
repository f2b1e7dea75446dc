//! The limit on requests per second, over all callers.
//!
//! A bucket that holds one second's worth and fills steadily: bursts up to the
//! limit pass, the mean never exceeds it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::StatusCode;

use super::error::ApiError;

/// Admits or refuses requests.
#[derive(Debug)]
pub(super) struct Throttle {
    /// Requests per second; 0 for no limit.
    rate: f64,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    filled: Instant,
}

impl Throttle {
    pub(super) fn new(rate: u32) -> Self {
        let rate = f64::from(rate);
        Self {
            rate,
            bucket: Mutex::new(Bucket {
                left: rate,
                filled: Instant::now(),
            }),
        }
    }

    /// 429 with `Retry-After` where the limit is reached.
    pub(super) fn admit(&self) -> Result<(), ApiError> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Result<(), ApiError> {
        if self.rate == 0.0 {
            return Ok(());
        }
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(bucket.filled).as_secs_f64() * self.rate;
        bucket.left = (bucket.left + gained).min(self.rate);
        bucket.filled = now;
        if bucket.left < 1.0 {
            return Err(ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests: limits.requests_per_second of the server is reached",
            )
            .retry_after(Duration::from_secs(1)));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_pass_up_to_the_limit_and_then_wait() {
        let throttle = Throttle::new(2);
        let start = Instant::now();
        let admitted = |ms| throttle.admit_at(start + Duration::from_millis(ms)).is_ok();
        assert!(admitted(0) && admitted(0));
        assert!(!admitted(0) && !admitted(400));
        assert!(admitted(600), "half a second earns one");
        assert!(!admitted(600));
        assert!(
            admitted(5_000) && admitted(5_000) && !admitted(5_000),
            "and never more than a second's"
        );
        assert!((0..1000).all(|_| Throttle::new(0).admit().is_ok()));
    }
}
