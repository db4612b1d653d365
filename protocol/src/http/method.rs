//! What a method promises (RFC 9110, 9.2).
//!
//! A method is text, compared with its case (RFC 9110, 9.1). Known here are those of RFC 9110 and of
//! RFC 4918; of any other one nothing is assumed.
//!
//! ```
//! use tidewire::http::method;
//!
//! assert!(method::is_safe("GET") && method::is_idempotent("GET"));
//! assert!(method::is_idempotent("PUT") && !method::is_safe("PUT"));
//! assert!(!method::is_idempotent("POST") && !method::is_idempotent("get"));
//! ```

/// Whether the method asks for nothing but an answer (RFC 9110, 9.2.1): a crawler may send it.
#[must_use]
pub fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PROPFIND")
}

/// Whether the same request, sent twice, is meant to do what it does when sent once (RFC 9110,
/// 9.2.2): it may be repeated after a connection was lost, and pipelined (RFC 9112, 9.3.2). Safe
/// methods are idempotent.
#[must_use]
pub fn is_idempotent(method: &str) -> bool {
    is_safe(method)
        || matches!(method, "PUT" | "DELETE" | "PROPPATCH" | "MKCOL" | "COPY" | "MOVE" | "UNLOCK")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_methods_of_rfc_9110_four_are_safe_and_two_more_idempotent() {
        // RFC 9110, 9.1 (the methods) and 9.2.1, 9.2.2 (their properties).
        for (method, safe, idempotent) in [
            ("GET", true, true),
            ("HEAD", true, true),
            ("OPTIONS", true, true),
            ("TRACE", true, true),
            ("PUT", false, true),
            ("DELETE", false, true),
            ("POST", false, false),
            ("CONNECT", false, false),
        ] {
            assert_eq!((is_safe(method), is_idempotent(method)), (safe, idempotent), "{method}");
        }
    }

    #[test]
    fn a_method_that_is_not_known_promises_nothing_and_case_counts() {
        // RFC 9110, 9.1: "The method token is case-sensitive."
        for method in ["", "get", "Put", "PATCH", "LOCK", "GET "] {
            assert!(!is_safe(method) && !is_idempotent(method), "{method}");
        }
    }
}
