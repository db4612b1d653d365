#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_tests::fuzz::proxy_connect(data));
