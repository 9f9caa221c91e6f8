module aether.dev/filter-feed-peer

go 1.24
