// Keeps the device's certificate and newest lock key at the node, so that others can link with it and seal to it.
import type { Device } from '../keys/device.ts';
import { equal } from '../wire/bytes.ts';
import type { NodeLine } from './node-line.ts';
import { NodeRefusal } from './node-requests.ts';
import type { Clock, Stop } from './ports.ts';

const againAfter = 60_000;

export class DevicePublisher {
  readonly #line: NodeLine;
  readonly #clock: Clock;
  readonly #surprised: (error: unknown) => void;
  #certificate: Uint8Array | undefined;
  #lockNo = 0;
  #stopAgain: Stop = () => undefined;

  constructor(parts: { line: NodeLine; clock: Clock; surprised(error: unknown): void }) {
    this.#line = parts.line;
    this.#clock = parts.clock;
    this.#surprised = parts.surprised;
  }

  /** The node has it from the login. */
  certificateIsKnown(certificate: Uint8Array): void {
    this.#certificate = certificate;
  }

  /** Sends what the node does not have from us yet. What it refuses is tried again in a minute, until `pause`. */
  publish(device: Device): void {
    this.pause();
    this.#send(device).catch((error: unknown) => {
      if (!(error instanceof NodeRefusal)) this.#surprised(error);
      // Offline, the next login publishes.
      else if (error.code !== 'offline') this.#again(device, Math.max(againAfter, error.retryAfter));
    });
  }

  /** The connection ended. */
  pause(): void {
    this.#stopAgain();
  }

  #again(device: Device, delay: number): void {
    this.#stopAgain();
    this.#stopAgain = this.#clock.after(delay, () => this.publish(device));
  }

  async #send({ certificate, lockKeys }: Device): Promise<void> {
    if (this.#certificate === undefined || !equal(this.#certificate, certificate)) {
      await this.#line.request({ type: 'publish-device', deviceCert: certificate });
      this.#certificate = certificate;
    }
    const newest = lockKeys.at(-1);
    if (newest === undefined || newest.no === this.#lockNo) return;
    await this.#line.request({ type: 'publish-lock-key', lockKey: newest.encoded });
    this.#lockNo = newest.no;
  }
}
