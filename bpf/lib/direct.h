/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Direct return: the backend's node must know which frontend its client asked another node for. The packet says so itself, in the
 * field's format: an IPv4 option, or a destination option of IPv6, before whatever else stands behind the IP header.
 */
#pragma once

#include "packet.h"

#define DIRECT_ROOM (BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET)
#define IPV4_IHL_MAX 15

struct direct_v4 {
	__be16 head;			/* type, copied into fragments; length */
	__be16 port;
	__be32 address;
};
_Static_assert(sizeof(struct direct_v4) == 8, "direct_v4");

struct direct_v6 {			/* an extension header, and its one option */
	__u8 next;
	__u8 length;
	__be16 head;
	__u8 address[16];
	__be16 port;
	__u16 pad;
};
_Static_assert(sizeof(struct direct_v6) == 24, "direct_v6");

static __always_inline __u32 direct_size(const struct packet *packet)
{
	return packet->v6 ? sizeof(struct direct_v6) : sizeof(struct direct_v4);
}

/* direct_read - the frontend that @packet says. Return: 0, or -1. */
static __always_inline int direct_read(struct __sk_buff *skb, const struct packet *packet, struct address *frontend, __be16 *port)
{
	if (packet->v6) {
		struct direct_v6 option;

		if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct ipv6hdr), &option, sizeof(option)))
			return -1;
		__builtin_memcpy(frontend, option.address, 16);
		*port = option.port;
		/* On the wire a mapped address would be an IPv4 frontend's. */
		return address_is_v4(frontend) ? -1 : 0;
	} else {
		struct direct_v4 option;

		if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct iphdr), &option, sizeof(option)))
			return -1;
		address_from_v4(frontend, option.address);
		*port = option.port;
		return 0;
	}
}

/*
 * What a device has summed over the packet follows each write, so its transport's sum stays as true as it was. IPv4's own sum
 * changes by what the header becomes longer or shorter by (RFC 1624).
 */
static __always_inline int direct_put_v4(struct __sk_buff *skb, struct direct_v4 *option, bool push)
{
	const __s32 size = sizeof(*option);
	__be32 before[3] = {}, after[3] = {};
	struct iphdr ip;
	__u32 sum;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) || (push && ip.ihl > IPV4_IHL_MAX - size / 4))
		return -1;
	__builtin_memcpy(before, &ip, 4);
	if (bpf_skb_adjust_room(skb, push ? size : -size, BPF_ADJ_ROOM_NET, DIRECT_ROOM))
		return -1;
	ip.ihl += push ? size / 4 : -(size / 4);
	ip.tot_len = bpf_htons(bpf_ntohs(ip.tot_len) + (push ? size : -size));
	__builtin_memcpy(after, &ip, 4);
	/* Zeros add nothing. */
	__builtin_memcpy((push ? after : before) + 1, option, size);
	sum = bpf_csum_diff(before, sizeof(before), after, sizeof(after), (__u16)~ip.check);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip.check = ~sum;
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM))
		return -1;
	return push && bpf_skb_store_bytes(skb, ETH_HLEN + sizeof(ip), option, size, BPF_F_RECOMPUTE_CSUM) ? -1 : 0;
}

static __always_inline int direct_put_v6(struct __sk_buff *skb, struct direct_v6 *option, bool push)
{
	const __s32 size = sizeof(*option);
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) || bpf_skb_adjust_room(skb, push ? size : -size, BPF_ADJ_ROOM_NET, DIRECT_ROOM))
		return -1;
	if (push)
		option->next = ip.nexthdr;
	ip.nexthdr = push ? IPPROTO_DSTOPTS : option->next;
	ip.payload_len = bpf_htons(bpf_ntohs(ip.payload_len) + (push ? size : -size));
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM))
		return -1;
	return push && bpf_skb_store_bytes(skb, ETH_HLEN + sizeof(ip), option, size, BPF_F_RECOMPUTE_CSUM) ? -1 : 0;
}

/* direct_push - the packet says which frontend was asked. A global function, for the stack. Return: 0, or -1 when it has no room or could not be written. */
__noinline int direct_push(struct __sk_buff *skb, bool v6, const struct address *frontend, __be16 port)
{
	if (!frontend)
		return -1;
	if (v6) {
		struct direct_v6 option = { .length = DIRECT_V6_LENGTH, .head = bpf_htons(DIRECT_V6_HEAD), .port = port };

		__builtin_memcpy(option.address, frontend, 16);
		return direct_put_v6(skb, &option, true);
	} else {
		struct direct_v4 option = { .head = bpf_htons(DIRECT_V4_HEAD), .port = port, .address = frontend->low >> 32 };

		return direct_put_v4(skb, &option, true);
	}
}

/* direct_pop - as its client sent it again. A global function, for the stack. Return: 0, or -1 when it could not be written. */
__noinline int direct_pop(struct __sk_buff *skb, bool v6)
{
	if (v6) {
		struct direct_v6 option = {};

		return bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct ipv6hdr), &option, sizeof(option)) ? -1 : direct_put_v6(skb, &option, false);
	} else {
		struct direct_v4 option = {};

		return bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct iphdr), &option, sizeof(option)) ? -1 : direct_put_v4(skb, &option, false);
	}
}
