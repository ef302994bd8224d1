"""The product's own app with the matching called from another place: what there was before there were workers."""
