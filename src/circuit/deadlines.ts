/**
 * Deadlines: things with the time at which each is due, and the first of them at hand. A binary heap, in which every
 * item's deadline is no earlier than that of the item above it.
 *
 * @module
 */

interface Node<Item> {
  readonly item: Item;
  at: number;
}

/** Items with one deadline each. Setting, deleting and taking cost O(log n), and looking at the first nothing. */
export class Deadlines<Item> {
  readonly #heap: Node<Item>[] = [];
  /** Where each item is in the heap. */
  readonly #places = new Map<Item, number>();

  /** When the first item is due, in ms; Infinity where there is none. */
  get next(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  /** Adds an item, or moves its deadline, in ms. */
  set(item: Item, at: number): void {
    const place = this.#places.get(item);
    if (place === undefined) return this.#rise(this.#heap.length, { item, at });
    const node = this.#heap[place]!;
    node.at = at;
    this.#settle(place, node);
  }

  /** Removes an item; one that is not there does no harm. */
  delete(item: Item): void {
    const place = this.#places.get(item);
    if (place === undefined) return;
    this.#places.delete(item);
    const last = this.#heap.pop()!;
    if (place < this.#heap.length) this.#settle(place, last);
  }

  /** Removes and returns the first item, if its time has come. */
  take(now: number): Item | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    this.delete(first.item);
    return first.item;
  }

  /** Removes every item. */
  clear(): void {
    this.#heap.length = 0;
    this.#places.clear();
  }

  /** Puts a node into the gap at `place`, or where it belongs above or below it. */
  #settle(place: number, node: Node<Item>): void {
    for (;;) {
      let child = 2 * place + 1;
      if (child + 1 < this.#heap.length && this.#heap[child + 1]!.at < this.#heap[child]!.at) child++;
      if (child >= this.#heap.length || this.#heap[child]!.at >= node.at) break;
      this.#put(place, this.#heap[child]!);
      place = child;
    }
    this.#rise(place, node);
  }

  /** Puts a node into the gap at `place`, or above it. */
  #rise(place: number, node: Node<Item>): void {
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#heap[parent]!.at <= node.at) break;
      this.#put(place, this.#heap[parent]!);
      place = parent;
    }
    this.#put(place, node);
  }

  #put(place: number, node: Node<Item>): void {
    this.#heap[place] = node;
    this.#places.set(node.item, place);
  }
}
