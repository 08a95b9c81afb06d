// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Frontends at the socket: connect and sendmsg replace the frontend by one of
 * its backends, recvmsg and getpeername show the frontend again. Attached to
 * the node's cgroup, so that pods and the node's own processes are served;
 * both families share one path.
 */
#include <linux/errno.h>

#include "lib/flows.h"
#include "lib/sample.h"
#include "lib/service.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* bpf_sock_addr's return values */
#define REFUSE 0
#define PASS 1

struct target {
	struct address address;
	__be16 port;
	__u8 protocol;
};

/* refuse - no backend serves: the caller learns it at once, as from a closed port; never a hang. */
static __always_inline int refuse(const struct frontend_key *frontend)
{
	struct sample *sample;

	count(REASON_NO_BACKEND, DIRECTION_EGRESS, 0);
	sample = samples_new(0, 0, 1, sizeof(*sample));
	if (sample) {
		sample->kind = SAMPLE_DROP;
		sample->reason = REASON_NO_BACKEND;
		sample->direction = DIRECTION_EGRESS;
		sample->file = FILE_SOCKET;
		sample->line = __LINE__;
		__builtin_memcpy(sample->destination, frontend->address, 16);
		sample->destination_port = frontend->port;
		sample->protocol = frontend->protocol;
		bpf_ringbuf_submit(sample, SAMPLE_SUBMIT);
	}
	bpf_set_retval(-ECONNREFUSED);
	return REFUSE;
}

static __always_inline bool socket_revnat_equal(const struct socket_revnat *a, const struct socket_revnat *b)
{
	const __u32 *left = (const __u32 *)a, *right = (const __u32 *)b;
	__u32 difference = 0;

#pragma unroll
	for (__u32 i = 0; i < sizeof(*a) / 4; i++)
		difference |= left[i] ^ right[i];
	return !difference;
}

/* remember - for this socket the backend stands for the frontend. Written once, not for each datagram. Return: it did not before. */
static __always_inline bool remember(__u64 cookie, const struct target *backend, __u32 id, const struct frontend_key *frontend)
{
	struct socket_revnat_key reverse = { .cookie = cookie, .port = backend->port, .protocol = backend->protocol };
	struct socket_revnat entry = { .port = frontend->port, .backend = id };
	struct socket_revnat *known;

	__builtin_memcpy(entry.address, frontend->address, 16);
	__builtin_memcpy(reverse.address, &backend->address, 16);
	known = bpf_map_lookup_elem(&sn_sockrev_02, &reverse);
	if (known && socket_revnat_equal(known, &entry))
		return false;
	bpf_map_update_elem(&sn_sockrev_02, &reverse, &entry, BPF_ANY);
	return true;
}

/*
 * translate - replaces a frontend by a backend and remembers it for this socket. A frontend that not everybody may
 * use is left to the packets' way, where clients have addresses.
 * @connects: a new draw; a datagram instead goes where the socket's others went
 *
 * Return: PASS (translated or no frontend), or REFUSE.
 */
static __noinline int translate(struct bpf_sock_addr *ctx, struct target *target, bool connects)
{
	struct frontend_key asked = { .port = target->port, .protocol = target->protocol };
	struct frontend_key key;
	struct address client = {};
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct frontend frontend;
	struct choice choice;

	__builtin_memcpy(asked.address, &target->address, 16);
	key = asked;
	if (!frontend_find(&key, &frontend) || (frontend.flags & FRONTEND_RANGES))
		return PASS;
	client.high = bpf_get_netns_cookie(ctx);
	if (!backend_draw(&key, &frontend, &client, connects ? bpf_get_prandom_u32() : echo_of(&cookie, sizeof(cookie)), &choice))
		return refuse(&asked);
	target->address = choice.address;
	target->port = choice.port;
	if (remember(cookie, target, choice.id, &asked) || connects)
		count_flow(frontend.revnat);
	return PASS;
}

static __always_inline int translate_connect(struct bpf_sock_addr *ctx, struct target *target)
{
	return translate(ctx, target, true);
}

static __always_inline int translate_datagram(struct bpf_sock_addr *ctx, struct target *target)
{
	return translate(ctx, target, false);
}

/* restore - the frontend that this socket asked for, where the peer is a backend of it. */
static __noinline int restore(struct bpf_sock_addr *ctx, struct target *target)
{
	struct socket_revnat_key reverse = { .port = target->port, .protocol = target->protocol };
	struct socket_revnat *entry;

	reverse.cookie = bpf_get_socket_cookie(ctx);
	__builtin_memcpy(reverse.address, &target->address, 16);
	entry = bpf_map_lookup_elem(&sn_sockrev_02, &reverse);
	if (entry) {
		__builtin_memcpy(&target->address, entry->address, 16);
		target->port = entry->port;
	}
	return PASS;
}

static __always_inline void target_of_v4(const struct bpf_sock_addr *ctx, struct target *target)
{
	address_from_v4(&target->address, ctx->user_ip4);
	target->port = (__be16)ctx->user_port;
	target->protocol = ctx->protocol;
}

static __always_inline void target_to_v4(struct bpf_sock_addr *ctx, const struct target *target)
{
	ctx->user_ip4 = (__u32)(target->address.low >> 32);
	ctx->user_port = target->port;
}

/* Mapped addresses and native ones alike: a frontend is of one family, and so are its backends. */
static __always_inline void target_of_v6(const struct bpf_sock_addr *ctx, struct target *target)
{
	target->address.high = (__u64)ctx->user_ip6[1] << 32 | ctx->user_ip6[0];
	target->address.low = (__u64)ctx->user_ip6[3] << 32 | ctx->user_ip6[2];
	target->port = (__be16)ctx->user_port;
	target->protocol = ctx->protocol;
}

static __always_inline void target_to_v6(struct bpf_sock_addr *ctx, const struct target *target)
{
	ctx->user_ip6[0] = (__u32)target->address.high;
	ctx->user_ip6[1] = (__u32)(target->address.high >> 32);
	ctx->user_ip6[2] = (__u32)target->address.low;
	ctx->user_ip6[3] = (__u32)(target->address.low >> 32);
	ctx->user_port = target->port;
}

#define HOOK_V4(name, act)						\
int name(struct bpf_sock_addr *ctx)					\
{									\
	struct target target = {};					\
	int verdict;							\
									\
	target_of_v4(ctx, &target);					\
	verdict = act(ctx, &target);					\
	target_to_v4(ctx, &target);					\
	return verdict;							\
}

#define HOOK_V6(name, act)						\
int name(struct bpf_sock_addr *ctx)					\
{									\
	struct target target = {};					\
	int verdict;							\
									\
	target_of_v6(ctx, &target);					\
	verdict = act(ctx, &target);					\
	target_to_v6(ctx, &target);					\
	return verdict;							\
}

/*
 * keep_ports - no process of the node itself binds a port that the node's translation of sources uses: what comes from
 * there is taken by other nodes as judged. Pods, in namespaces of their own, may. Return: PASS or REFUSE (EPERM).
 */
static __always_inline int keep_ports(struct bpf_sock *ctx)
{
	__u32 zero = 0, port = ctx->src_port;
	__u64 *own = bpf_map_lookup_elem(&sn_netns_01, &zero);

	if (port < SNAT_PORT_FIRST || !own || !*own || bpf_get_netns_cookie(ctx) != *own)
		return PASS;
	return REFUSE;
}

SEC("cgroup/post_bind4")
int post_bind4(struct bpf_sock *ctx)
{
	return keep_ports(ctx);
}

SEC("cgroup/post_bind6")
int post_bind6(struct bpf_sock *ctx)
{
	return keep_ports(ctx);
}

SEC("cgroup/connect4")
HOOK_V4(connect4, translate_connect)

SEC("cgroup/sendmsg4")
HOOK_V4(sendmsg4, translate_datagram)

SEC("cgroup/recvmsg4")
HOOK_V4(recvmsg4, restore)

SEC("cgroup/getpeername4")
HOOK_V4(getpeername4, restore)

SEC("cgroup/connect6")
HOOK_V6(connect6, translate_connect)

SEC("cgroup/sendmsg6")
HOOK_V6(sendmsg6, translate_datagram)

SEC("cgroup/recvmsg6")
HOOK_V6(recvmsg6, restore)

SEC("cgroup/getpeername6")
HOOK_V6(getpeername6, restore)
