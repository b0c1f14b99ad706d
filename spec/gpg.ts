// The real GnuPG in a home folder of its own, for specs about keys that people already have.
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type GpgAlgorithm = 'rsa4096' | 'rsa3072' | 'ed25519';

const parameters: Record<GpgAlgorithm, string[]> = {
  rsa4096: ['Key-Type: RSA', 'Key-Length: 4096', 'Subkey-Type: RSA', 'Subkey-Length: 4096'],
  rsa3072: ['Key-Type: RSA', 'Key-Length: 3072', 'Subkey-Type: RSA', 'Subkey-Length: 3072'],
  ed25519: ['Key-Type: EDDSA', 'Key-Curve: ed25519', 'Subkey-Type: ECDH', 'Subkey-Curve: cv25519'],
};

export class Gpg {
  // Short, because the agent's socket lies in it and its path may have 107 characters. mkdtemp makes it mode 700, as gpg demands.
  readonly home = mkdtempSync(join(tmpdir(), 'gpg-'));
  readonly #passphrases = new Map<string, string>();

  constructor() {
    // Keys for specs need neither the best randomness nor a slow passphrase.
    writeFileSync(join(this.home, 'gpg-agent.conf'), 'debug-quick-random\ns2k-count 65536\n');
  }

  /** Makes a primary key that signs and a subkey that encrypts, and returns the fingerprint. RSA takes seconds. */
  async generate({
    name,
    algorithm,
    passphrase,
  }: {
    name: string;
    algorithm: GpgAlgorithm;
    passphrase: string;
  }): Promise<string> {
    const protection = passphrase === '' ? ['%no-protection'] : [`Passphrase: ${passphrase}`];
    const lines = [
      ...parameters[algorithm],
      'Key-Usage: cert,sign',
      'Subkey-Usage: encrypt',
      `Name-Real: ${name}`,
      `Name-Email: ${name}@example.org`,
      'Expire-Date: 0',
      ...protection,
      '%commit',
    ];
    const status = await this.run(['--status-fd', '1', '--generate-key'], `${lines.join('\n')}\n`);
    const fingerprint = /KEY_CREATED \w ([0-9A-F]{40})/.exec(status)?.[1];
    if (fingerprint === undefined) throw new Error(`gpg made no key: ${status}`);
    this.#passphrases.set(name, passphrase);
    return fingerprint;
  }

  /** The armored secret key of someone generated here, locked with the passphrase given then. */
  exportSecret(name: string): Promise<string> {
    const passphrase = this.#passphrases.get(name) ?? '';
    return this.run(['--passphrase-fd', '0', '--armor', '--export-secret-keys', `=${name} <${name}@example.org>`], passphrase);
  }

  exportPublic(name: string): Promise<string> {
    return this.run(['--armor', '--export', `=${name} <${name}@example.org>`]);
  }

  /** What gpg writes to its standard output; throws with its complaints when it fails. `input` goes to its standard input. */
  run(args: string[], input: string | Uint8Array = ''): Promise<string> {
    const gpg = spawn('gpg', ['--homedir', this.home, '--batch', '--no-tty', '--yes', '--pinentry-mode', 'loopback', ...args]);
    const out: Buffer[] = [];
    const complaints: Buffer[] = [];
    gpg.stdout.on('data', (part: Buffer) => out.push(part));
    gpg.stderr.on('data', (part: Buffer) => complaints.push(part));
    gpg.stdin.on('error', () => complaints.push(Buffer.from('(gpg did not read its input)')));
    gpg.stdin.end(input);
    return new Promise((resolve, reject) => {
      gpg.once('error', reject);
      gpg.once('close', (code) => {
        if (code === 0) resolve(Buffer.concat(out).toString());
        else reject(new Error(`gpg ${args.join(' ')} ended with ${code}: ${Buffer.concat(complaints)}`));
      });
    });
  }

  /** Ends the agent and removes every key. */
  async dispose(): Promise<void> {
    await new Promise((resolve) =>
      spawn('gpgconf', ['--homedir', this.home, '--kill', 'all']).once('close', resolve).once('error', resolve),
    );
    await rm(this.home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}
