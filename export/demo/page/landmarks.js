// Known sounds around yours: cosines to them, the examples' mean subtracted from both, and the map's two axes.

/** From /landmarks.f32: a direction for each label, their mean, and two principal axes. */
export class Landmarks {
  constructor(values, { labels, dim }) {
    const row = (index) => values.subarray(index * dim, (index + 1) * dim);
    this.labels = labels;
    this.directions = labels.map((_, index) => row(index));
    [this.mean, ...this.axes] = [0, 1, 2].map((index) => row(labels.length + index));
    this.points = this.directions.map((direction) => this.axes.map((axis) => dot(axis, direction)));
  }

  direction(embedding) {
    const centred = Float64Array.from(embedding, (value, i) => value - this.mean[i]);
    const length = Math.max(Math.sqrt(dot(centred, centred)), 1e-12);
    return centred.map((value) => value / length);
  }

  /** Where an embedding lies on the map, [x, y]. */
  place(embedding) {
    const direction = this.direction(embedding);
    return this.axes.map((axis) => dot(axis, direction));
  }

  /** {label, cosine, index} of the closest example of each class, the closest class first. */
  nearest(embedding) {
    const direction = this.direction(embedding);
    const best = {};
    this.directions.forEach((known, index) => {
      const [label, cosine] = [this.labels[index], dot(known, direction)];
      if (!(best[label]?.cosine >= cosine)) best[label] = { label, cosine, index };
    });
    return Object.values(best).sort((a, b) => b.cosine - a.cosine);
  }
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
