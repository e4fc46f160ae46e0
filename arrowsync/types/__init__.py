"""What values mean, whatever database they come from: kinds of Arrow types and exact conversions."""
