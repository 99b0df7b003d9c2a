// The points of one line on a live chart, in order.
//
// A run may tell of more steps than a line has pixels. Of a line that is too long, each stretch is
// thinned to its least and its greatest value, so that no peak is lost; gaps stay, and so do the
// first and the last point. What is kept depends on the points alone, not on when they came: a
// page that was open all the time and one that was opened late show the same.

// Above what a run usually tells of (5,000 steps), so that most lines are never thinned.
const MOST_POINTS = 6000;
const THINNED_TO = 0.75 * MOST_POINTS;

class Series {
  // An `exact` one is never thinned.
  constructor(exact = false) {
    this.exact = exact;
    this.order = [];
    this.x = [];
    this.y = [];
    this.count = 0;
    this.level = 0;
  }

  push(x, y) {
    this.order.push(this.count);
    this.x.push(x);
    this.y.push(y);
    this.count += 1;
    if (this.exact || this.x.length <= MOST_POINTS) return;
    this.thin();
    while (this.x.length > THINNED_TO) {
      this.level += 1;
      this.thin();
    }
  }

  // Keeps the least, the greatest and the first missing value of every 2 ** level points.
  thin() {
    const kept = new Set([0, this.x.length - 1]);
    const last = this.x.length;
    for (let start = 0; start < last; ) {
      const stretch = Math.floor(this.order[start] / 2 ** this.level);
      let [least, greatest, gap] = [-1, -1, -1];
      let at = start;
      for (; at < last && Math.floor(this.order[at] / 2 ** this.level) === stretch; at += 1) {
        if (this.y[at] === null) {
          if (gap < 0) gap = at;
          continue;
        }
        if (least < 0 || this.y[at] < this.y[least]) least = at;
        if (greatest < 0 || this.y[at] > this.y[greatest]) greatest = at;
      }
      for (const index of [least, greatest, gap]) if (index >= 0) kept.add(index);
      start = at;
    }
    const chosen = (_, index) => kept.has(index);
    this.order = this.order.filter(chosen);
    this.x = this.x.filter(chosen);
    this.y = this.y.filter(chosen);
  }

  // Returns copies, since Plotly is told of points later than they come.
  points() {
    return { x: [...this.x], y: [...this.y] };
  }
}
