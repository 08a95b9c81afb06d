/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Neighbour discovery at a pod's veth: what arp.h is for IPv4. Whatever the pod asks for has the host side's MAC; what
 * else it says to its link (duplicate address detection, router solicitations, multicast listener reports) ends here.
 */
#pragma once

#include "address.h"
#include "packet.h"

#define ICMPV6_NEIGHBOUR_SOLICITATION 135
#define ICMPV6_NEIGHBOUR_ADVERTISEMENT 136
#define NDP_HOP_LIMIT 255		/* of every message that no router has forwarded (RFC 4861, 7.1) */
#define NDP_SOLICITED_OVERRIDE 0x60000000
#define NDP_TARGET_MAC 2

struct ndp_message {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 flags;			/* of an advertisement */
	struct address target;
};

/* An answer from its IPv6 header on. */
struct ndp_answer {
	__be32 version;
	__be16 length;
	__u8 next;
	__u8 hop_limit;
	struct address source;
	struct address destination;
	struct ndp_message message;
	__u8 option;
	__u8 option_length;		/* of 8 bytes */
	__u8 mac[6];
};
_Static_assert(sizeof(struct ndp_answer) == 72, "ndp_answer");

#define NDP_BODY (sizeof(struct ndp_answer) - sizeof(struct ipv6hdr))

/* ndp_type - type of a message that a neighbour may have sent: whole, behind no extension (RFC 6980), not forwarded; else 0. */
static __always_inline __u8 ndp_type(const struct packet *packet)
{
	if (packet->fragment != WHOLE || packet->l4_offset != ETH_HLEN + sizeof(struct ipv6hdr) || packet->ttl != NDP_HOP_LIMIT)
		return 0;
	return bpf_ntohs(packet->tuple.policy_port) >> 8;
}

/* ndp_checksum - over both addresses, the body, its length and protocol. */
static __always_inline __be16 ndp_checksum(struct ndp_answer *answer)
{
	__u64 sum = bpf_csum_diff(NULL, 0, (__be32 *)&answer->source, sizeof(*answer) - __builtin_offsetof(struct ndp_answer, source),
				  bpf_htonl(NDP_BODY) + bpf_htonl(IPPROTO_ICMPV6));

	sum = (sum & 0xffff) + ((sum & 0xffffffff) >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

/*
 * ndp_from_pod - answers what the pod asks, on the spot; lets its own answers up to the node.
 * Who asks without an address, or for its own, looks for a duplicate: an answer would claim the pod's address.
 */
__noinline int ndp_from_pod(struct __sk_buff *skb, const struct packet *packet)
{
	static const __u8 host_mac[6] = HOST_MAC;
	struct ndp_answer answer = {};
	struct party party;
	__u8 pod_mac[6];
	__u8 type;
	bool own;

	if (!packet)
		return TC_ACT_SHOT;
	type = ndp_type(packet);
	if ((type != ICMPV6_NEIGHBOUR_SOLICITATION && type != ICMPV6_NEIGHBOUR_ADVERTISEMENT) ||
	    bpf_skb_load_bytes(skb, packet->l4_offset, &answer.message, sizeof(answer.message)))
		return TC_ACT_SHOT;
	own = endpoint_read(&answer.message.target, &party) && party.ifindex == skb->ifindex;
	if (type == ICMPV6_NEIGHBOUR_ADVERTISEMENT)
		return own ? TC_ACT_OK : TC_ACT_SHOT;
	if (own || address_is_unspecified(&packet->tuple.source) || address_is_multicast(&answer.message.target) ||
	    bpf_skb_load_bytes(skb, ETH_ALEN, pod_mac, sizeof(pod_mac)))
		return TC_ACT_SHOT;
	answer.version = bpf_htonl(0x60000000);
	answer.length = bpf_htons(NDP_BODY);
	answer.next = IPPROTO_ICMPV6;
	answer.hop_limit = NDP_HOP_LIMIT;
	answer.source = answer.message.target;
	answer.destination = packet->tuple.source;
	answer.message.type = ICMPV6_NEIGHBOUR_ADVERTISEMENT;
	answer.message.code = 0;
	answer.message.checksum = 0;
	answer.message.flags = bpf_htonl(NDP_SOLICITED_OVERRIDE);
	answer.option = NDP_TARGET_MAC;
	answer.option_length = 1;
	__builtin_memcpy(answer.mac, host_mac, 6);
	answer.message.checksum = ndp_checksum(&answer);
	if (bpf_skb_change_tail(skb, ETH_HLEN + sizeof(answer), 0) || bpf_skb_store_bytes(skb, ETH_HLEN, &answer, sizeof(answer), 0) ||
	    bpf_skb_store_bytes(skb, 0, pod_mac, 6, 0) || bpf_skb_store_bytes(skb, 6, host_mac, 6, 0))
		return TC_ACT_SHOT;
	return bpf_redirect_peer(skb->ifindex, 0);
}

/* ndp_to_pod - the node may ask the pod for its MAC, and tells it nothing else. */
static __always_inline int ndp_to_pod(const struct packet *packet)
{
	return ndp_type(packet) == ICMPV6_NEIGHBOUR_SOLICITATION ? TC_ACT_OK : TC_ACT_SHOT;
}
