package format

// Combine adds snapshots up: the value of each name is the sum of its values
// in all of them (several of one name in the same snapshot included), and the
// skipped lines are added as well. Distributions take part with the values of
// their labels. An integer sum that leaves int64 goes on as a float.
func Combine(snapshots ...*Snapshot) *Snapshot {
	total := &Snapshot{}
	at := make(map[string]int) // name -> index in total.Stats
	for _, s := range snapshots {
		total.Skipped += s.Skipped
		for _, stat := range s.Flatten().Stats {
			i, ok := at[stat.Name]
			if !ok {
				at[stat.Name] = len(total.Stats)
				total.Stats = append(total.Stats, stat)
				continue
			}
			sum := &total.Stats[i]
			sum.Value = sum.Value.Add(stat.Value)
			sum.Kind = combineKinds(sum.Kind, stat.Kind)
		}
	}
	total.Sort()
	return total
}

// combineKinds returns the kind of a stat that is a here and b there. What is
// set or decremented anywhere is a gauge everywhere.
func combineKinds(a, b Kind) Kind {
	switch {
	case a == b:
		return a
	case min(a, b) == Counter && max(a, b) == Gauge:
		return Gauge
	default:
		return Untyped
	}
}
