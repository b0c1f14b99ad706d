// Token buckets: how often somebody may do something.

export type Rate = { perSecond: number; burst: number };

/** One bucket, full at first. */
export class Bucket {
  #tokens: number;
  #at: number;

  constructor(burst: number, now: number) {
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes one token: 0, or the milliseconds until there is one, and then nothing is taken. */
  take(rate: Rate, now: number): number {
    const wait = this.wait(rate, now);
    if (wait === 0) this.#tokens -= 1;
    return wait;
  }

  /** What `take` would say; nothing is taken. */
  wait(rate: Rate, now: number): number {
    const elapsed = Math.max(0, now - this.#at);
    this.#tokens = Math.min(rate.burst, this.#tokens + (elapsed * rate.perSecond) / 1000);
    this.#at = now;
    if (this.#tokens >= 1) return 0;
    return Math.ceil(((1 - this.#tokens) * 1000) / rate.perSecond);
  }

  /** Takes more, there or not: the next `take` waits for it. */
  spend(tokens: number): void {
    this.#tokens -= tokens;
  }
}

/** More names than have something to wait for at once; the longest unused goes first. */
const bucketsMost = 20_000;

/** A bucket for each name, such as an address or an account. */
export class Buckets {
  readonly #rate: Rate;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** As Bucket.take. */
  take(name: string, now: number): number {
    return this.of(name, now).take(this.#rate, now);
  }

  /** As Bucket.wait. */
  wait(name: string, now: number): number {
    return this.of(name, now).wait(this.#rate, now);
  }

  /** For one who comes back often: the bucket is the same for all who hold it. */
  of(name: string, now: number): Bucket {
    const bucket = this.#buckets.get(name) ?? new Bucket(this.#rate.burst, now);
    // A Map keeps the order of insertion: the one used last stands last.
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > bucketsMost) {
      const [longestUnused] = this.#buckets.keys();
      if (longestUnused !== undefined) this.#buckets.delete(longestUnused);
    }
    return bucket;
  }
}
