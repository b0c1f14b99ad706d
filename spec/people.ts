// People for specs about logins and devices: an OpenPGP key in an agent that counts its uses, and a device.

import { createDevice, type Device, type DeviceSecrets, openDevice } from '../keys/device.ts';
import type { KeyAgent } from '../keys/key-agent.ts';
import { localKeyAgent } from '../keys/key-agent.ts';
import type { Uid } from '../wire/ids.ts';
import { seededRandom } from './fakes.ts';

export const passphrase = 'correct horse';

export type Person = {
  username: string;
  uid: Uid;
  certificate: Uint8Array;
  secretKey: Uint8Array;
  agent: KeyAgent;
  /** How often the private key was used, for what. */
  uses: { decrypt: number; sign: number };
  secrets: DeviceSecrets;
  device: Device;
};

export async function person(username: string, now: number): Promise<Person> {
  const uses = { decrypt: 0, sign: 0 };
  const agent = localKeyAgent({
    onPrivateKeyUse: (use) => {
      uses[use] += 1;
    },
  });
  const { secretKey } = await agent.generate({ username, passphrase, now });
  const { uid, certificate } = await agent.unlock({ secretKey, passphrase });
  const secrets = await createDevice({ agent, uid, name: `laptop of ${username}`, random: seededRandom(username.length), now });
  const device = await openDevice(secrets);
  uses.sign = 0;
  return { username, uid, certificate, secretKey, agent, uses, secrets, device };
}
