// The node's time: the machine's, or one that a spec drives by hand.

/** Stops what was started; harmless when called twice. */
export type Stop = () => void;

export interface NodeClock {
  /** Milliseconds since 1970 UTC. */
  now(): number;
  /** Runs once after at least `ms`. */
  after(ms: number, run: () => void): Stop;
}

export const systemClock: NodeClock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Runs again and again; the next span begins when a run has returned. */
export function every(clock: NodeClock, ms: number, run: () => void): Stop {
  let stop = clock.after(ms, turn);
  let isStopped = false;
  function turn() {
    run();
    if (!isStopped) stop = clock.after(ms, turn);
  }
  return () => {
    isStopped = true;
    stop();
  };
}
