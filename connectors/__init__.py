"""The data plane: what stands beside a platform's data and delivers it under a grant."""
