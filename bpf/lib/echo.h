/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The kernel recycles hash elements at once, so a reader can see another key's
 * value or miss a key that is there. Every value that decides therefore holds
 * the echo of its key beside what it decides, in one aligned word; a look-up
 * that meets the wrong echo, or nothing, is tried up to three times.
 */
#pragma once

#include "common.h"

#define ECHO_TRIES 3

/* echo_of - 32 bits over a key of whole words; shared/layout/echo.ts computes the same. */
static __always_inline __u32 echo_of(const void *key, const __u32 size)
{
	const __u32 *words = key;
	__u32 hash = 0x5e1e5e1e;

#pragma unroll
	for (__u32 i = 0; i < size / 4; i++)
		hash = (hash ^ words[i]) * 0x9e3779b1;
	return hash ^ (hash >> 16);
}

/* word_of - what a word decides, when its echo is right. */
static __always_inline bool word_of(__u64 word, __u32 echo, __u32 *decided)
{
	*decided = (__u32)word;
	return (word >> 32) == echo;
}
