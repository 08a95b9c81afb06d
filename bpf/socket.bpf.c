// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * ClusterIP at the socket: connect and sendmsg replace the frontend by one of
 * its backends, recvmsg and getpeername show the frontend again. Attached to
 * the node's cgroup; IPv4 sockets and IPv6 sockets that speak to mapped
 * addresses share one path.
 */
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

/* The backend in a slot; a slot that is just going away is looked for again as the first. */
static __always_inline struct backend *backend_of(const struct frontend *frontend)
{
	struct backend_slot_key slot = { .slots = frontend->slots };
	__u32 *id;

	slot.index = bpf_get_prandom_u32() % frontend->count;
	id = bpf_map_lookup_elem(&sn_slot_01, &slot);
	if (!id) {
		slot.index = 0;
		id = bpf_map_lookup_elem(&sn_slot_01, &slot);
	}
	return id ? bpf_map_lookup_elem(&sn_backend_01, id) : NULL;
}

/*
 * translate - replaces a frontend by a backend and remembers it for this socket.
 * Return: PASS (translated or no frontend), REFUSE where no backend serves: at once, never a hang.
 */
static __noinline int translate(struct bpf_sock_addr *ctx, struct target *target)
{
	struct frontend_key key = { .port = target->port, .protocol = target->protocol };
	struct socket_revnat_key reverse = {};
	struct frontend frontend = {};
	struct backend *backend;

	__builtin_memcpy(key.address, &target->address, 16);
	if (!frontend_read(&key, &frontend))
		return PASS;
	if (!frontend.count)
		return REFUSE;
	backend = backend_of(&frontend);
	if (!backend)
		return REFUSE;
	__builtin_memcpy(&target->address, backend->address, 16);
	target->port = backend->port;
	reverse.cookie = bpf_get_socket_cookie(ctx);
	__builtin_memcpy(reverse.address, backend->address, 16);
	reverse.port = backend->port;
	reverse.protocol = target->protocol;
	bpf_map_update_elem(&sn_sockrev_01, &reverse, &key, BPF_ANY);
	return PASS;
}

/* restore - the frontend that this socket asked for, where the peer is a backend of it. */
static __noinline int restore(struct bpf_sock_addr *ctx, struct target *target)
{
	struct socket_revnat_key reverse = { .port = target->port, .protocol = target->protocol };
	struct frontend_key *frontend;

	reverse.cookie = bpf_get_socket_cookie(ctx);
	__builtin_memcpy(reverse.address, &target->address, 16);
	frontend = bpf_map_lookup_elem(&sn_sockrev_01, &reverse);
	if (frontend) {
		__builtin_memcpy(&target->address, frontend->address, 16);
		target->port = frontend->port;
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

/* Return: false for native IPv6, which no frontend has here. */
static __always_inline bool target_of_v6(const struct bpf_sock_addr *ctx, struct target *target)
{
	if (ctx->user_ip6[0] || ctx->user_ip6[1] || ctx->user_ip6[2] != bpf_htonl(0xffff))
		return false;
	address_from_v4(&target->address, ctx->user_ip6[3]);
	target->port = (__be16)ctx->user_port;
	target->protocol = ctx->protocol;
	return true;
}

static __always_inline void target_to_v6(struct bpf_sock_addr *ctx, const struct target *target)
{
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
	if (!target_of_v6(ctx, &target))				\
		return PASS;						\
	verdict = act(ctx, &target);					\
	target_to_v6(ctx, &target);					\
	return verdict;							\
}

SEC("cgroup/connect4")
HOOK_V4(connect4, translate)

SEC("cgroup/sendmsg4")
HOOK_V4(sendmsg4, translate)

SEC("cgroup/recvmsg4")
HOOK_V4(recvmsg4, restore)

SEC("cgroup/getpeername4")
HOOK_V4(getpeername4, restore)

SEC("cgroup/connect6")
HOOK_V6(connect6, translate)

SEC("cgroup/sendmsg6")
HOOK_V6(sendmsg6, translate)

SEC("cgroup/recvmsg6")
HOOK_V6(recvmsg6, restore)

SEC("cgroup/getpeername6")
HOOK_V6(getpeername6, restore)
