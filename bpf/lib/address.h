/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Who is behind an address. */
#pragma once

#include "echo.h"

/* One side of a flow, as policy needs it. */
struct party {
	__u32 identity;
	__u32 ifindex;			/* local pods: host side veth; else 0 */
	__u16 endpoint_id;
	__u16 variant;
	bool in_cluster;		/* a pod's or a node's: CIDR rules meet it by class */
	bool known;			/* an entry names it; false = world or unknown */
	__u8 mac[6];
};

/* endpoint_read - the local pod that has @address. Return: false when none has. */
static __always_inline bool endpoint_read(const struct address *address, struct party *party)
{
	__u32 echo = echo_of(address, 16);

#pragma unroll
	for (int try = 0; try < ECHO_TRIES; try++) {
		struct endpoint *value = bpf_map_lookup_elem(&sn_endpoint_01, address);
		__u64 word;

		if (!value)
			continue;
		word = READ_ONCE64(*value);
		barrier();
		party->ifindex = value->ifindex;
		party->endpoint_id = value->endpoint_id;
		party->variant = value->variant;
		__builtin_memcpy(party->mac, value->pod_mac, 6);
		barrier();
		if (READ_ONCE64(*value) != word || !word_of(word, echo, &party->identity))
			continue;
		party->in_cluster = true;
		party->known = true;
		return true;
	}
	return false;
}

/* party_of - who is behind @address, wherever it is: exact entry, else longest prefix, else world. */
static __always_inline void party_of(const struct address *address, struct party *party)
{
	struct cidr_key prefix = { .prefix_length = 128 };
	struct ipcache *value;
	__u32 echo;

	__builtin_memset(party, 0, sizeof(*party));
	if (endpoint_read(address, party))
		return;
	__builtin_memset(party, 0, sizeof(*party));
	echo = echo_of(address, 16);
#pragma unroll
	for (int try = 0; try < ECHO_TRIES; try++) {
		__u64 word;

		value = bpf_map_lookup_elem(&sn_ipcache_01, address);
		if (!value)
			continue;
		word = READ_ONCE64(*value);
		barrier();
		party->variant = value->variant;
		party->in_cluster = value->flags & ADDRESS_IN_CLUSTER;
		barrier();
		if (READ_ONCE64(*value) != word || !word_of(word, echo, &party->identity))
			continue;
		party->known = true;
		return;
	}
	party->variant = 0;
	party->in_cluster = false;
	__builtin_memcpy(prefix.address, address, 16);
	value = bpf_map_lookup_elem(&sn_ipprefix_01, &prefix);
	party->identity = value ? value->identity : 2; /* reserved:world */
}
