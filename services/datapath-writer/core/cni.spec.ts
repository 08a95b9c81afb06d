import { describe, expect, test } from '@jest/globals';

import { CNI_ERROR, cniResult, parseCni } from './index.ts';

const ENV = {
  CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: '/run/netns/x', CNI_IFNAME: 'eth0', CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=carts-0;K8S_POD_UID=u1',
};
const CONFIG = '{"cniVersion":"1.1.0","name":"seine","type":"seine-cni"}';

describe('a CNI request', () => {
  test('is read whole', () => {
    expect(parseCni({ env: { ...ENV, CNI_ARGS: `${ENV.CNI_ARGS};IP=10.1.2.3` }, stdin: CONFIG })).toEqual({
      command: 'ADD', version: '1.1.0', containerId: 'c1', netns: '/run/netns/x', podInterface: 'eth0', pod: 'shop/carts-0', uid: 'u1', addresses: ['10.1.2.3'],
    });
  });

  test.each([
    { name: 'no address', ip: '', then: [] },
    { name: 'one of IPv6, in its one spelling', ip: ';IP=FD00:0::2', then: ['fd00::2'] },
    { name: 'one of each family', ip: ';IP=10.1.2.3,fd00::2', then: ['10.1.2.3', 'fd00::2'] },
  ])('may ask for $name', ({ ip, then }) => { expect(parseCni({ env: { ...ENV, CNI_ARGS: `${ENV.CNI_ARGS}${ip}` }, stdin: CONFIG }).addresses).toEqual(then); });

  test('of DEL needs neither pod nor namespace', () => {
    expect(parseCni({ env: { CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0' }, stdin: CONFIG })).toMatchObject({ command: 'DEL', containerId: 'c1' });
  });

  test.each([
    [{ CNI_COMMAND: 'GO' }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_COMMAND: "GO": expected one of ADD, DEL, CHECK, STATUS, VERSION'],
    [{ CNI_CONTAINERID: '' }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_CONTAINERID: "": expected letters'],
    [{ CNI_CONTAINERID: '../x' }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_CONTAINERID: "../x": expected letters'],
    [{ CNI_IFNAME: 'a-name-that-is-too-long' }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_IFNAME: "a-name-that-is-too-long": expected an interface name of 1 to 15'],
    [{ CNI_IFNAME: '..' }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_IFNAME: "..": expected'],
    [{ CNI_NETNS: '' }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_NETNS: "": expected the absolute path'],
    [{ CNI_NETNS: 'x' }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_NETNS: "x": expected the absolute path'],
    [{ CNI_ARGS: 'K8S_POD_NAMESPACE' }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_ARGS: "K8S_POD_NAMESPACE": expected KEY=VALUE'],
    [{ CNI_ARGS: 'K8S_POD_NAME=x;K8S_POD_UID=u' }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_ARGS K8S_POD_NAMESPACE: "": expected a DNS name'],
    [{ CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=X_Y;K8S_POD_UID=u' }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_ARGS K8S_POD_NAME: "X_Y": expected a DNS name'],
    [{ CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=x' }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_ARGS K8S_POD_UID: nothing: expected the uid'],
    [{ CNI_ARGS: `${ENV.CNI_ARGS};IP=10.1.2` }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_ARGS IP: "10.1.2": expected an IP address'],
    [{ CNI_ARGS: `${ENV.CNI_ARGS};IP=::ffff:10.1.2.3` }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_ARGS IP: "::ffff:10.1.2.3": expected an IP address'],
    [{ CNI_ARGS: `${ENV.CNI_ARGS};IP=fd00::1,` }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_ARGS IP: "": expected an IP address'],
    [{ CNI_ARGS: `${ENV.CNI_ARGS};IP=fd00::1,fd00::2` }, CONFIG, CNI_ERROR.badEnvironment, 'CNI_ARGS IP: "fd00::1,fd00::2": expected at most one address of each family'],
    [{}, '', CNI_ERROR.decode, 'standard input: "": expected the network configuration as JSON'],
    [{}, '[]', CNI_ERROR.decode, 'standard input: expected a JSON object'],
    [{}, '{}', CNI_ERROR.incompatibleVersion, 'cniVersion: nothing: expected one of 0.3.0'],
    [{}, '{"cniVersion":"9.0.0"}', CNI_ERROR.incompatibleVersion, 'cniVersion: "9.0.0": expected one of 0.3.0'],
  ])('with %j and %s is refused with field, value and expectation', (change, stdin, code, message) => {
    expect(() => parseCni({ env: { ...ENV, ...change }, stdin })).toThrow(expect.objectContaining({ code: 'SEINE_CNI_REFUSED', details: { cni: code }, message: expect.stringContaining(message) }));
  });

  test('is answered in the version that was asked for', () => {
    expect(cniResult({ version: '0.4.0', hostInterface: 'sn1', hostMac: 'm1', podInterface: 'eth0', podMac: 'm2', netns: '/n', addresses: ['10.1.2.3', 'fd00::2'], mtu: 1500 })).toEqual({
      cniVersion: '0.4.0', interfaces: [{ name: 'sn1', mac: 'm1', mtu: 1500 }, { name: 'eth0', mac: 'm2', mtu: 1500, sandbox: '/n' }],
      ips: [{ address: '10.1.2.3/32', gateway: '169.254.1.1', interface: 1 }, { address: 'fd00::2/128', gateway: 'fe80::1', interface: 1 }],
      routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }, { dst: '::/0', gw: 'fe80::1' }], dns: {},
    });
  });
});
