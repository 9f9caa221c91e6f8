/** Epoch ms that a step of the machine's clock does not move back: deadlines are counted in it. */
export const clockMs = (): number => Math.round(performance.timeOrigin + performance.now());
