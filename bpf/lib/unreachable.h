/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* ICMP errors: what a packet's sender is told in the name of the address that it asked. */
#pragma once

#include "packet.h"

#define ICMP_PORT_UNREACH 3
#define ICMP_FRAG_NEEDED 4
#define ICMPV6_DEST_UNREACH 1
#define ICMPV6_PKT_TOOBIG 2
#define ICMPV6_PORT_UNREACH 4
#define UNREACHABLE_TTL 64
#define UNREACHABLE_TOS 0xc0		/* internetwork control, as routers send it */

/* An IPv4 header with all its options, or an IPv6 header with some, and what tells the socket: its ports. */
#define QUOTE_MAX 96
#define QUOTE_L4 8

struct icmp_unreachable {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 rest;			/* the MTU, of what is too long */
};

struct unreachable_v4 {
	struct iphdr ip;
	struct icmp_unreachable icmp;
};

struct unreachable_v6 {
	struct ipv6hdr ip;
	struct icmp_unreachable icmp;
};

/*
 * refusal_allowed - each CPU sends so many in 2^30 ns: whoever writes another's address as its source must not have
 * Seine flood that one. What is not answered was counted as dropped before.
 */
static __always_inline bool refusal_allowed(void)
{
	__u32 zero = 0, now = bpf_ktime_get_coarse_ns() >> 30;
	struct refusals *sent = bpf_map_lookup_elem(&sn_refusal_01, &zero);

	if (!sent)
		return false;
	if (sent->since != now) {
		sent->since = now;
		sent->sent = 0;
	}
	return sent->sent++ < REFUSALS_MAX;
}

static __always_inline __be16 checksum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/*
 * A datagram whose sum is left to a device (CHECKSUM_PARTIAL: its sender is on this host) stays so: a device that finishes none has the stack write
 * the sum of all from the datagram's header on where its check field was, though neither is there any more. There the answer has the second half of
 * what is unused: of IPv4 the sum is that of zeros, and the answer stays whole; of IPv6 it does where that half is the pseudo-header's sum. The MTU
 * of what is too long would not survive it. Nothing tells such a packet but that it may not be cut before that field.
 */
static __always_inline bool sum_unfinished(struct __sk_buff *skb, const struct packet *packet)
{
	return bpf_skb_change_tail(skb, packet->l4_offset + __builtin_offsetof(struct udphdr, check), 0);
}

/* The sums below are over zeros where @quote ends: none changes by them. */
static __always_inline int unreachable_v4(struct __sk_buff *skb, const struct tuple *tuple, __be32 *quote, __u32 quoted, __u32 mtu)
{
	struct unreachable_v4 head = {};
	__s64 sum;

	head.ip.version = 4;
	head.ip.ihl = sizeof(head.ip) / 4;
	head.ip.tos = UNREACHABLE_TOS;
	head.ip.tot_len = bpf_htons(sizeof(head) + quoted);
	head.ip.ttl = UNREACHABLE_TTL;
	head.ip.protocol = IPPROTO_ICMP;
	head.ip.saddr = tuple->destination.low >> 32;
	head.ip.daddr = tuple->source.low >> 32;
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&head.ip, sizeof(head.ip), 0);
	head.ip.check = checksum_fold(sum);
	head.icmp.type = ICMP_DEST_UNREACH;
	head.icmp.code = mtu ? ICMP_FRAG_NEEDED : ICMP_PORT_UNREACH;
	head.icmp.rest = bpf_htonl(mtu);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&head.icmp, sizeof(head.icmp), 0);
	head.icmp.checksum = checksum_fold(bpf_csum_diff(NULL, 0, quote, QUOTE_MAX, sum));
	return bpf_skb_store_bytes(skb, ETH_HLEN, &head, sizeof(head), 0);
}

static __always_inline int unreachable_v6(struct __sk_buff *skb, const struct tuple *tuple, __be32 *quote, __u32 quoted, __u32 mtu, bool unfinished)
{
	struct unreachable_v6 head = {};
	__be32 pseudo[2] = { bpf_htonl(sizeof(head.icmp) + quoted), bpf_htonl(IPPROTO_ICMPV6) };
	__s64 sum;

	head.ip.version = 6;
	head.ip.payload_len = bpf_htons(sizeof(head.icmp) + quoted);
	head.ip.nexthdr = IPPROTO_ICMPV6;
	head.ip.hop_limit = UNREACHABLE_TTL;
	__builtin_memcpy(&head.ip.saddr, &tuple->destination, 16);
	__builtin_memcpy(&head.ip.daddr, &tuple->source, 16);
	head.icmp.type = mtu ? ICMPV6_PKT_TOOBIG : ICMPV6_DEST_UNREACH;
	head.icmp.code = mtu ? 0 : ICMPV6_PORT_UNREACH;
	head.icmp.rest = bpf_htonl(mtu);
	sum = bpf_csum_diff(NULL, 0, pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&head.ip.saddr, 32, sum);
	if (unfinished)
		head.icmp.rest = bpf_htonl(bpf_ntohs((__u16)~checksum_fold(sum)));
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&head.icmp, sizeof(head.icmp), sum);
	head.icmp.checksum = checksum_fold(bpf_csum_diff(NULL, 0, quote, QUOTE_MAX, sum));
	return bpf_skb_store_bytes(skb, ETH_HLEN, &head, sizeof(head), 0);
}

/*
 * unreachable_make - the packet becomes the answer to it, but for its MACs: that nobody listens there, or what fits.
 * @mtu: 0, or that. Return: 0, or an error, and the packet is none any more.
 */
static __always_inline int unreachable_make(struct __sk_buff *skb, const struct packet *packet, __u32 mtu)
{
	__be32 quote[QUOTE_MAX / 4] = {};
	__u32 quoted = packet->l4_offset - ETH_HLEN + QUOTE_L4;
	__u32 at = ETH_HLEN + (packet->v6 ? sizeof(struct unreachable_v6) : sizeof(struct unreachable_v4));
	bool unfinished;

	if (quoted < sizeof(struct iphdr) || quoted > QUOTE_MAX)
		return -1;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, quote, quoted))
		return -1;
	unfinished = !mtu && sum_unfinished(skb, packet);
	/* Options move that field into the quoted part. */
	if (unfinished && packet->l4_offset != ETH_HLEN + (packet->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)))
		return -1;
	if (bpf_skb_change_tail(skb, at + quoted, 0) || bpf_skb_store_bytes(skb, at, quote, quoted, 0))
		return -1;
	return packet->v6 ? unreachable_v6(skb, &packet->tuple, quote, quoted, mtu, unfinished) : unreachable_v4(skb, &packet->tuple, quote, quoted, mtu);
}
