#pragma once

#include <stddef.h>
#include <stdint.h>

/// SHA-256 (FIPS 180-4) of `count` bytes, by the CPU's own instructions where it has them.
void apus_sha256(const void *bytes, size_t count, uint8_t digest[32]);

/// The same without them.
void apus_sha256_scalar(const void *bytes, size_t count, uint8_t digest[32]);

/// SHA-1 of `prefix_count` bytes, at most 63, and `count` more: git names a file by it. No protection against forgers.
void apus_sha1(const void *prefix, size_t prefix_count, const void *bytes, size_t count, uint8_t digest[20]);
