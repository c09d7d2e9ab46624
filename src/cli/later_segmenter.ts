/**
 * optique makes an `Intl.Segmenter` as soon as it is loaded, to know how wide a text is. The first one of a process takes 20 ms,
 * and a run never asks. From this module on until {@linkcode segmentersAtOnce}, a segmenter is therefore made when it is first used.
 *
 * Load this before optique, by itself: among the imports of one module a bundle may put another one first.
 *
 * @module
 */
const { Segmenter } = Intl;

/** A segmenter that is made when it is first used. */
class LaterSegmenter {
  readonly #options: ConstructorParameters<typeof Intl.Segmenter>;
  #made: Intl.Segmenter | undefined;

  constructor(...options: ConstructorParameters<typeof Intl.Segmenter>) {
    this.#options = options;
  }

  segment(text: string): Intl.Segments {
    this.#made ??= new Segmenter(...this.#options);
    return this.#made.segment(text);
  }
}

set(LaterSegmenter);

/** From now on segmenters are made at once, as usual. */
export function segmentersAtOnce(): void {
  set(Segmenter);
}

function set(value: unknown): void {
  Object.defineProperty(Intl, "Segmenter", { value, writable: true, enumerable: false, configurable: true });
}
