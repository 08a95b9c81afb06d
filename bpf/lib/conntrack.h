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
#define CT_UDP_SEEN 112			/* 120 s */

#define CT_SEEN_BOTH (CT_SEEN_A | CT_SEEN_B)
#define CT_CLOSING_BOTH (CT_CLOSING_A | CT_CLOSING_B)

static __always_inline __u32 ct_now(void)
{
	return bpf_ktime_get_coarse_ns() >> CT_CLOCK_SHIFT;
}

static __always_inline bool tuple_source_is_a(const struct tuple *tuple)
{
	if (tuple->source.high != tuple->destination.high)
		return tuple->source.high < tuple->destination.high;
	if (tuple->source.low != tuple->destination.low)
		return tuple->source.low < tuple->destination.low;
	return tuple->source_port <= tuple->destination_port;
}

/* ct_key_of - the normalised key. Return: true when the tuple's source is side a. */
static __always_inline bool ct_key_of(const struct tuple *tuple, struct ct_key *key)
{
	bool source_is_a = tuple_source_is_a(tuple);

	if (source_is_a) {
		__builtin_memcpy(key->address_a, &tuple->source, 16);
		__builtin_memcpy(key->address_b, &tuple->destination, 16);
		key->port_a = tuple->source_port;
		key->port_b = tuple->destination_port;
	} else {
		__builtin_memcpy(key->address_a, &tuple->destination, 16);
		__builtin_memcpy(key->address_b, &tuple->source, 16);
		key->port_a = tuple->destination_port;
		key->port_b = tuple->source_port;
	}
	key->protocol = tuple->protocol;
	key->leg = 0;
	key->pad = 0;
	return source_is_a;
}

/* ct_echo_of - of the key, in four multiplications that do not wait for each other: this one is on every packet's way. */
static __always_inline __u32 ct_echo_of(const struct ct_key *key)
{
	const __u64 *words = (const __u64 *)key;
	__u64 mixed = words[0] * 0x9e3779b97f4a7c15ULL ^ words[1] * 0xc2b2ae3d27d4eb4fULL ^
		      (words[2] + words[4]) * 0x165667b19e3779f9ULL ^ words[3] * 0x27d4eb2f165667c5ULL;

	return mixed >> 32;
}

/* TCP has a table of its own: a flood of UDP must not evict it. */
static __always_inline struct ct_entry *ct_lookup(const struct ct_key *key)
{
	return key->protocol == IPPROTO_TCP ? bpf_map_lookup_elem(&sn_cttcp_01, key) :
					      bpf_map_lookup_elem(&sn_ctany_01, key);
}

/*
 * ct_read - a copy of the flow's live entry.
 *
 * The table recycles elements under its readers, so the copy counts only when
 * the echo was right before and after; else the flow has no entry, and is
 * judged. Return: the element itself (for ct_touch), or NULL: none, or expired.
 */
static __always_inline struct ct_entry *ct_read(const struct ct_key *key, struct ct_entry *copy, __u32 now)
{
	struct ct_entry *entry = ct_lookup(key);
	__u32 echo;

	if (!entry)
		return NULL;
	echo = ct_echo_of(key);
	if (*(const volatile __u32 *)&entry->echo != echo)
		return NULL;
	barrier();
	*copy = *entry;
	barrier();
	if (*(const volatile __u32 *)&entry->echo != echo || copy->expiry <= now)
		return NULL;
	return entry;
}

/* ct_store - puts the whole entry; never written piecewise, so that no stamp lands in a recycled element. */
static __always_inline long ct_store(const struct ct_key *key, struct ct_entry *entry)
{
	entry->echo = ct_echo_of(key);
	return key->protocol == IPPROTO_TCP ? bpf_map_update_elem(&sn_cttcp_01, key, entry, BPF_ANY) :
					      bpf_map_update_elem(&sn_ctany_01, key, entry, BPF_ANY);
}

/* ct_closed - the flow is over: its ports may begin a new one. */
static __always_inline bool ct_closed(__u8 flags)
{
	return (flags & CT_RESET) || (flags & CT_CLOSING_BOTH) == CT_CLOSING_BOTH;
}

static __always_inline __u32 ct_lifetime(__u8 protocol, __u8 flags)
{
	bool both = (flags & CT_SEEN_BOTH) == CT_SEEN_BOTH;

	if (protocol == IPPROTO_TCP)
		return ct_closed(flags) ? CT_CLOSING : both ? CT_TCP_ESTABLISHED : CT_TCP_NEW;
	return both && protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6 ? CT_UDP_SEEN : CT_ANY_NEW;
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

/*
 * ct_touch - a packet passed. Written only when something changed or a second has gone by.
 * Should the element have been recycled since it was read, another flow's lifetime changes, never its verdict.
 */
static __always_inline void ct_touch(struct ct_entry *entry, const struct ct_entry *copy, bool from_a,
				     const struct tuple *tuple, __u32 now)
{
	__u8 flags = ct_flags_after(copy->flags, from_a, tuple->tcp_flags);
	__u32 expiry = now + ct_lifetime(tuple->protocol, flags);

	if (flags != copy->flags)
		entry->flags |= flags ^ copy->flags;
	if (expiry != copy->expiry)
		entry->expiry = expiry;
}

/*
 * ct_begins_anew - the packet is no part of the flow that has this entry, though
 * it has its tuple: a SYN or an echo request against the entry's direction, or a
 * SYN after the end. Else a server that is only a destination could connect back.
 */
static __always_inline bool ct_begins_anew(const struct ct_entry *entry, bool source_is_a, const struct packet *packet)
{
	bool forward = source_is_a == !!(entry->flags & CT_ORIGINATOR_A);
	const struct tuple *tuple = &packet->tuple;

	if (tuple->protocol == IPPROTO_TCP)
		return (tuple->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && (!forward || ct_closed(entry->flags));
	if (packet->icmp_echo && packet->fragment != LATER_FRAGMENT && (tuple->protocol == IPPROTO_ICMP || tuple->protocol == IPPROTO_ICMPV6))
		return !packet->icmp_other && !forward;
	return false;
}

/*
 * ct_vouches - the entry was judged under the current epoch and names this hook's interface as its own side's.
 * @own_is_a: who is behind this hook is side a
 * @ifindex: of the pod behind the hook; 0 = the uplink's: any local side, as long as the other is not here
 *
 * A stamp of 0 stands for a side that is not on this node; the own side always has one.
 */
static __always_inline bool ct_vouches(const struct ct_entry *entry, bool own_is_a, __u32 ifindex, __u32 epoch)
{
	__u32 own = own_is_a ? entry->ifindex_a : entry->ifindex_b;
	__u32 peer = own_is_a ? entry->ifindex_b : entry->ifindex_a;

	return (ifindex ? own == ifindex : own && !peer) &&
	       (!entry->egress_epoch || entry->egress_epoch == epoch) &&
	       (!entry->ingress_epoch || entry->ingress_epoch == epoch);
}
