/**
 * A priority queue of deadlines, as a binary heap: no item is due before its parent.
 *
 * @module
 */

interface Node<Item> {
  readonly item: Item;
  at: number;
}

/**
 * Items with one deadline each. Every change takes O(log n) steps; reading the first deadline takes
 * one.
 */
export class Deadlines<Item> {
  readonly #heap: Node<Item>[] = [];
  /** The index of each item in the heap. */
  readonly #places = new Map<Item, number>();

  /** The first deadline in ms; Infinity if there are no items. */
  get next(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  /** Adds an item, or changes its deadline, in ms. */
  set(item: Item, at: number): void {
    const place = this.#places.get(item);
    if (place === undefined) return this.#rise(this.#heap.length, { item, at });
    const node = this.#heap[place]!;
    node.at = at;
    this.#settle(place, node);
  }

  /** Removes an item, if present. */
  delete(item: Item): void {
    const place = this.#places.get(item);
    if (place === undefined) return;
    this.#places.delete(item);
    const last = this.#heap.pop()!;
    if (place < this.#heap.length) this.#settle(place, last);
  }

  /** Removes and returns the item that is due first, or undefined if none is due yet. */
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

  /**
   * Fills the gap at `place` with a node, after moving the gap up or down to where the node
   * belongs.
   */
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

  /** Fills the gap at `place` with a node, after moving the gap up as far as needed. */
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
