/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * One entry per flow, for both directions and both policies. The entry holds
 * the verdict epoch under which each policy was judged; a stale stamp means:
 * judge again, by the originator's tuple, whichever way the packet goes.
 */
#pragma once

#include "packet.h"

/* Seconds here are 2^30 ns: a shift instead of a division for each packet. */
#define CT_CLOCK_SHIFT 30
#define CT_TCP_NEW 56			/* 60 s */
#define CT_TCP_ESTABLISHED 20117	/* 6 h */
#define CT_CLOSING 9			/* 10 s */
#define CT_ANY_NEW 56			/* 60 s */
#define CT_ANY_SEEN 112			/* 120 s */

static __always_inline __u32 ct_now(void)
{
	return bpf_ktime_get_coarse_ns() >> CT_CLOCK_SHIFT;
}

/* ct_key_of - the normalised key. Return: true when the tuple's source is side a. */
static __always_inline bool ct_key_of(const struct tuple *tuple, struct ct_key *key)
{
	__be16 source_port = tuple->source_port;
	__be16 destination_port = tuple->destination_port;
	bool source_is_a;

	if (tuple->source.high != tuple->destination.high)
		source_is_a = tuple->source.high < tuple->destination.high;
	else if (tuple->source.low != tuple->destination.low)
		source_is_a = tuple->source.low < tuple->destination.low;
	else
		source_is_a = source_port <= destination_port;
	if (source_is_a) {
		__builtin_memcpy(key->address_a, &tuple->source, 16);
		__builtin_memcpy(key->address_b, &tuple->destination, 16);
		key->port_a = source_port;
		key->port_b = destination_port;
	} else {
		__builtin_memcpy(key->address_a, &tuple->destination, 16);
		__builtin_memcpy(key->address_b, &tuple->source, 16);
		key->port_a = destination_port;
		key->port_b = source_port;
	}
	key->protocol = tuple->protocol;
	key->leg = 0;
	key->pad = 0;
	return source_is_a;
}

/* TCP has a table of its own: a flood of UDP must not evict it. */
static __always_inline struct ct_entry *ct_lookup(const struct ct_key *key)
{
	return key->protocol == IPPROTO_TCP ? bpf_map_lookup_elem(&sn_cttcp_01, key) :
					      bpf_map_lookup_elem(&sn_ctany_01, key);
}

static __always_inline long ct_store(const struct ct_key *key, const struct ct_entry *entry)
{
	return key->protocol == IPPROTO_TCP ? bpf_map_update_elem(&sn_cttcp_01, key, entry, BPF_ANY) :
					      bpf_map_update_elem(&sn_ctany_01, key, entry, BPF_ANY);
}

static __always_inline __u32 ct_lifetime(__u8 protocol, __u8 flags)
{
	bool both = (flags & (CT_SEEN_A | CT_SEEN_B)) == (CT_SEEN_A | CT_SEEN_B);

	if (protocol != IPPROTO_TCP)
		return both ? CT_ANY_SEEN : CT_ANY_NEW;
	if ((flags & CT_RESET) || (flags & (CT_CLOSING_A | CT_CLOSING_B)) == (CT_CLOSING_A | CT_CLOSING_B))
		return CT_CLOSING;
	return both ? CT_TCP_ESTABLISHED : CT_TCP_NEW;
}

/* ct_flags_after - flags once a packet of side a (or b) with these TCP flags was seen. */
static __always_inline __u8 ct_flags_after(__u8 flags, bool from_a, __u8 tcp_flags)
{
	flags |= from_a ? CT_SEEN_A : CT_SEEN_B;
	if (tcp_flags & TCP_FIN)
		flags |= from_a ? CT_CLOSING_A : CT_CLOSING_B;
	if (tcp_flags & TCP_RST)
		flags |= CT_RESET;
	return flags;
}

/* ct_touch - a packet passed. Written only when something changed or a second has gone by. */
static __always_inline void ct_touch(struct ct_entry *entry, bool from_a, const struct tuple *tuple, __u32 now)
{
	__u8 flags = ct_flags_after(entry->flags, from_a, tuple->tcp_flags);
	__u32 expiry = now + ct_lifetime(tuple->protocol, flags);

	if (flags != entry->flags)
		entry->flags = flags;
	if (expiry != entry->expiry)
		entry->expiry = expiry;
}

/* ct_closed - the flow is over: its ports may begin a new one. */
static __always_inline bool ct_closed(const struct ct_entry *entry)
{
	return (entry->flags & CT_RESET) ||
	       (entry->flags & (CT_CLOSING_A | CT_CLOSING_B)) == (CT_CLOSING_A | CT_CLOSING_B);
}
